// The command `postern serve milter` itself: what it says, and the example of its page.
import { readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { repository } from "../e2e/gateway.ts";
import { temporaryFolder } from "../services/index.ts";
import { startServing } from "./serving.ts";

const folder = temporaryFolder();
afterAll(() => folder[Symbol.dispose]());
symlinkSync(join(repository, "node_modules"), join(folder.path, "node_modules"));
const file = (name: string, content: object): void =>
  writeFileSync(join(folder.path, name), JSON.stringify(content), { mode: 0o600 });

test("what stands where is said, as text and as JSON, and a plugin of many words gets a note", async () => {
  const args = ["--plugin", "@postern/plugin-access", "--plugin", "@postern/plugin-greylist"];
  await using text = await startServing({ folder: folder.path, args });
  expect(text.log()).toMatch(
    /^Postern \S+ serves as a milter on inet:127\.0\.0\.1:\d+\n {2}plugins {2}access, greylist\n {2}rcpt {5}greylist\n {2}state {4}\/.*\/state\n {2}note {5}no list has a word of plugin access \(permit, reject, [^)]*…\)/,
  );
  await text.stop();
  await using json = await startServing({
    folder: folder.path,
    args: [...args, "--json", "--policy", "rcpt=permit_mynetworks", "--policy", "rcpt=greylist"],
  });
  const { event, listening, plugins, policy, notes } = JSON.parse(json.log().split("\n")[0] ?? "") as Record<
    string,
    unknown
  >;
  expect({ event, listening, plugins, policy, notes }).toEqual({
    event: "ready",
    listening: [`inet:127.0.0.1:${json.port}`],
    plugins: ["access", "greylist"],
    policy: { rcpt: ["permit_mynetworks", "greylist"] },
    notes: [],
  });
});

test("the example of its page, with one more plugin, answers; SIGTERM ends it", async () => {
  const page = readFileSync(join(repository, "docs/serve.md"), "utf8");
  const [, example = ""] = /<!-- serve -->\s*```json\n([^]*?)```/.exec(page) ?? [];
  file("serve.config.json", JSON.parse(example) as object);
  const args = ["--config", "serve.config.json", "--policy", "mail=reject_unknown_sender_domain"];
  const serving = await startServing({ folder: folder.path, args });
  expect(serving.log()).toContain("mail     reject_unknown_sender_domain");
  expect(serving.log()).toContain("rcpt     permit_mynetworks, reject_unknown_reverse_client_hostname, greylist");
  const socket = connect(serving.port, "127.0.0.1");
  // Version 6, nothing that a filter may do, no step that may be left out.
  socket.write(Buffer.from([0, 0, 0, 13, 0x4f, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0]));
  const answer = await new Promise<Buffer>((resolve) => socket.once("data", resolve));
  expect([...answer.subarray(0, 9)]).toEqual([0, 0, 0, 13, 0x4f, 0, 0, 0, 6]);
  const gone = new Promise((resolve) => socket.once("close", resolve));
  await serving.stop();
  await gone;
});
