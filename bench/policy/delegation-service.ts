/** A policy service that says DUNNO to everything, in a process of its own; tells its port on standard output. */
import { createServer } from "node:net";

const answer = "action=DUNNO\n\n";

const server = createServer((socket) => {
  socket.setNoDelay(true);
  socket.on("error", () => undefined);
  let rest = "";
  socket.setEncoding("latin1");
  socket.on("data", (piece: string) => {
    rest += piece;
    let answers = "";
    for (let end = rest.indexOf("\n\n"); end >= 0; end = rest.indexOf("\n\n")) {
      answers += answer;
      rest = rest.slice(end + 2);
    }
    if (answers !== "") socket.write(answers);
  });
});
server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  process.stdout.write(`${typeof address === "object" ? address?.port : 0}\n`);
});
process.on("disconnect", () => process.exit());
