// For tests: the real file system, with every call told, and failing where it is wanted.
import { nodeFiles, type FilePort, type OpenFile } from "./file-port.ts";

export type Step = "open" | "writev" | "datasync" | "close" | "sync" | "rename" | "mkdir" | "unlink";

/** `before` hears of each call and its path before it is made; what it throws is the call's answer. */
export function watchedFiles(
  before: (step: Step, path: string) => void,
  mostOctets = Number.MAX_SAFE_INTEGER,
): FilePort {
  return {
    async open(path, flags, mode): Promise<OpenFile> {
      before("open", path);
      const file = await nodeFiles.open(path, flags, mode);
      return {
        async writev(buffers) {
          before("writev", path);
          if (mostOctets === Number.MAX_SAFE_INTEGER) return file.writev(buffers);
          return file.writev([(buffers[0] ?? new Uint8Array()).subarray(0, mostOctets)]);
        },
        async datasync() {
          before("datasync", path);
          return file.datasync();
        },
        async sync() {
          before("sync", path);
          return file.sync();
        },
        async close() {
          await file.close();
          before("close", path);
        },
      };
    },
    async mkdir(path, options) {
      before("mkdir", path);
      return nodeFiles.mkdir(path, options);
    },
    async rename(from, to) {
      before("rename", from);
      return nodeFiles.rename(from, to);
    },
    async unlink(path) {
      before("unlink", path);
      return nodeFiles.unlink(path);
    },
  };
}
