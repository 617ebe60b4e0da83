/** What is no sound packet of the milter protocol. The text is for the log. */
export class ProtocolFault extends Error {
  constructor(message: string) {
    super(message);
    this.name = "ProtocolFault";
  }
}
