import { createFakeClock, createTestGateway, smtp } from "@postern/testkit";

const gateway = await createTestGateway({ domains: { relay: ["example.test"] } });
await smtp(gateway).say("MAIL FROM:<a@x.test>").say("RCPT TO:<b@other.test>").expect(/^554 5\.7\.1 /);
await smtp(gateway)
  .say("MAIL FROM:<a@x.test>")
  .say("RCPT TO:<b@example.test>")
  .data("Subject: hello\n\nhello\n")
  .expect(/^250 2\.0\.0 /);
const [mail] = await gateway.delivered(1);
console.log(mail?.recipients, createFakeClock().now());
await gateway.close();
