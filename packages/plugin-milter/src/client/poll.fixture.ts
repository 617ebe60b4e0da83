// What comes over a real socket is waited for, not slept for.
import { expect } from "vitest";

export const poll = <T>(read: () => T): ReturnType<typeof expect.poll<T>> => expect.poll(read, { interval: 2 });
