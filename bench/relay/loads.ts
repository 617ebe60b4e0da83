/**
 * What is sent. Every system gets the same, and so much that what a process does in its first second, V8 compiling it above all,
 * does not decide.
 */

export interface Load {
  readonly label: string;
  readonly messages: number;
  readonly sizeBytes: number;
  readonly sessions: number;
  /** Many messages over each session, or a session for each message. */
  readonly keepSession: boolean;
  /** The light load under which the wait for the 250 is measured, apart from the rates. */
  readonly latency: { readonly messages: number; readonly messagesPerSecond: number };
  /** What Postern wants to reach, against Postfix as packaged: times its rate, and this part of its CPU. */
  readonly goal?: { readonly rate: number; readonly cpuPart: number };
}

const kib = 1024;
const sessions = 20;
const light = { messages: 200, messagesPerSecond: 50 };
const lightForLarge = { messages: 60, messagesPerSecond: 10 };

export const loads: readonly Load[] = [
  {
    label: "4 KiB, many a session",
    messages: 20_000,
    sizeBytes: 4 * kib,
    sessions,
    keepSession: true,
    latency: light,
    goal: { rate: 6, cpuPart: 8 },
  },
  {
    label: "4 KiB, one a session",
    messages: 12_000,
    sizeBytes: 4 * kib,
    sessions,
    keepSession: false,
    latency: light,
    goal: { rate: 4, cpuPart: 6 },
  },
  {
    label: "64 KiB, many a session",
    messages: 8000,
    sizeBytes: 64 * kib,
    sessions,
    keepSession: true,
    latency: light,
    goal: { rate: 3.5, cpuPart: 5 },
  },
  { label: "64 KiB, one a session", messages: 8000, sizeBytes: 64 * kib, sessions, keepSession: false, latency: light },
  {
    label: "1 MiB, many a session",
    messages: 600,
    sizeBytes: 1024 * kib,
    sessions,
    keepSession: true,
    latency: lightForLarge,
    goal: { rate: 1.5, cpuPart: 3 },
  },
  {
    label: "1 MiB, one a session",
    messages: 600,
    sizeBytes: 1024 * kib,
    sessions,
    keepSession: false,
    latency: lightForLarge,
  },
];

/** A quarter of everything: to see that it works, not to quote. */
export function quickened(load: Load): Load {
  const quarter = (count: number): number => Math.ceil(count / 4);
  return {
    ...load,
    messages: quarter(load.messages),
    latency: { ...load.latency, messages: quarter(load.latency.messages) },
  };
}
