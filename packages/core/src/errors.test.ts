// What is said of an error, where node itself says nothing.
import { connect, createServer, type AddressInfo } from "node:net";
import { once } from "node:events";
import { expect, test } from "vitest";
import { errorText } from "./errors.ts";

test("of a name with two addresses, both refused, the code is said", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  const both = ["127.0.0.1", "127.0.0.2"].map((address) => ({ address, family: 4 }));
  const socket = connect({
    host: "engine.test",
    port,
    autoSelectFamily: true,
    lookup: (_, __, done) => done(null, both),
  });
  const [error] = (await once(socket, "error")) as [Error];
  expect(error.message).toBe("");
  expect(errorText(error)).toBe("ECONNREFUSED");
});

test.each<[thrown: unknown, text: string]>([
  [new TypeError("no words"), "no words"],
  [new TypeError(""), "TypeError"],
  ["a text", "a text"],
  [undefined, "undefined"],
  [Object.create(null), "object"],
])("what is thrown is told: %$", (thrown, text) => expect(errorText(thrown)).toBe(text));
