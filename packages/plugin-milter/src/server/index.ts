/** The other side of the protocol: plugins of ours as a milter of another mail server. What is asked goes to core's conversations. */
export { expectedAddress, parseListenAddress, type ListenAddress } from "./address.ts";
export {
  createMilterServer,
  type MilterServer,
  type MilterServerOptions,
  type RunningAddress,
} from "./milter-server.ts";
