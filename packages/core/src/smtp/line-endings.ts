/**
 * Line endings of message content (RFC 5321 §2.3.8): CR and LF appear only together. What else comes is refused or made CRLF
 * here, at ingress, so that no later hop can see a line where we saw none (SMTP smuggling).
 */

/** What is wrong with the octets of a message. The first fault found stands. */
export type ContentFault = "bareLf" | "bareCr" | "nul";

export type LineEndingPolicy = "reject" | "normalize";

const lf = 0x0a;

/** Watches content that arrives in pieces. It tells faults; it changes nothing. */
export class LineEndingCheck {
  fault: ContentFault | undefined;
  #afterCr = false;

  /** `text` is the piece as latin1. */
  check(text: string): void {
    if (this.fault !== undefined || text.length === 0) return;
    let from = 0;
    if (this.#afterCr) {
      this.#afterCr = false;
      if (text.charCodeAt(0) !== lf) {
        this.fault = "bareCr";
        return;
      }
      from = 1;
    }
    for (;;) {
      const nextLf = text.indexOf("\n", from);
      const nextCr = text.indexOf("\r", from);
      if (nextCr < 0) {
        if (nextLf >= 0) this.fault = "bareLf";
        break;
      }
      if (nextLf === nextCr + 1) {
        from = nextLf + 1;
      } else if (nextCr === text.length - 1 && nextLf < 0) {
        this.#afterCr = true;
        break;
      } else {
        this.fault = nextLf >= 0 && nextLf < nextCr ? "bareLf" : "bareCr";
        break;
      }
    }
    if (this.fault === undefined && text.includes("\0")) this.fault = "nul";
  }

  /** The content is over. */
  end(): void {
    if (this.#afterCr) this.fault ??= "bareCr";
  }
}
