/** What is said in the log of the store's own: a message, a word about one, its end. */
import type { PosternError } from "../errors.ts";
import {
  landNote,
  type Note,
  type Place,
  type QueueIndex,
  type Removal,
  replaceNote,
  type Segment,
} from "./queue-index.ts";
import { encodeRecord, recordHeaderBytes, recordKinds, type RecordPosition } from "./segment-format.ts";
import type { Append } from "./segment-log.ts";
import type { Schedule, Settlement } from "./store.ts";

/** A new message; its head is JSON already, so that what cannot be told fails in the caller's hands. */
export class MessageAppend implements Append {
  readonly sizeBytes: number;
  readonly #done = Promise.withResolvers<void>();
  readonly #json: string;
  readonly #body: readonly Buffer[];
  readonly #bodyBytes: number;
  readonly #land: (at: Pick<Place, "segment" | "offset" | "headBytes" | "bodyBytes">) => void;
  #headBytes = 0;

  constructor(
    json: string,
    body: readonly Buffer[],
    bodyBytes: number,
    land: (at: Pick<Place, "segment" | "offset" | "headBytes" | "bodyBytes">) => void,
  ) {
    this.sizeBytes = json.length + bodyBytes;
    this.#json = json;
    this.#body = body;
    this.#bodyBytes = bodyBytes;
    this.#land = land;
  }

  get promise(): Promise<void> {
    return this.#done.promise;
  }

  encode(at: RecordPosition): readonly Buffer[] {
    const head = encodeRecord(recordKinds.message, at, this.#json, this.#body);
    this.#headBytes = head.length - recordHeaderBytes;
    return [head, ...this.#body];
  }

  durable(segment: Segment | undefined, offset: number): void {
    if (segment !== undefined) this.#land({ segment, offset, headBytes: this.#headBytes, bodyBytes: this.#bodyBytes });
    this.#done.resolve();
  }

  failed(error: PosternError): boolean {
    this.#done.reject(error);
    return false;
  }
}

/** Said again until it is durable, as long as it is still news. */
abstract class LastingAppend implements Append {
  readonly sizeBytes = 256;
  readonly #done = Promise.withResolvers<void>();
  #headBytes = 0;

  constructor() {
    // Whoever waits hears of it; nobody has to wait.
    this.#done.promise.catch(() => undefined);
  }

  get promise(): Promise<void> {
    return this.#done.promise;
  }

  protected abstract record(): { readonly kind: number; readonly head: unknown } | undefined;
  protected abstract land(segment: Segment, offset: number, headBytes: number): void;

  encode(at: RecordPosition): readonly Buffer[] | undefined {
    const record = this.record();
    if (record === undefined) return undefined;
    const octets = encodeRecord(record.kind, at, JSON.stringify(record.head));
    this.#headBytes = octets.length - recordHeaderBytes;
    return [octets];
  }

  durable(segment: Segment | undefined, offset: number): void {
    if (segment !== undefined) this.land(segment, offset, this.#headBytes);
    this.#done.resolve();
  }

  failed(error: PosternError, final: boolean): boolean {
    if (final) this.#done.reject(error);
    return true;
  }
}

export class SettledAppend extends LastingAppend {
  readonly #id: string;
  readonly #place: Place;
  readonly #note: Note<readonly Settlement[]>;

  constructor(id: string, place: Place, note: Note<readonly Settlement[]>) {
    super();
    this.#id = id;
    this.#place = place;
    this.#note = note;
  }

  protected record() {
    // Copied meanwhile, or removed by a record of this batch: then that says it. A removal in a later one is too late: what is acknowledged
    // with this batch must not be older on the disk than what was said before it.
    if (!this.#isNews) return undefined;
    return { kind: recordKinds.settled, head: { id: this.#id, settled: this.#note.value } };
  }

  protected land(segment: Segment, offset: number, headBytes: number): void {
    const { removal } = this.#place;
    if (this.#isNews) landNote(this.#note, segment, offset, headBytes, removal !== undefined);
  }

  override durable(segment: Segment | undefined, offset: number): void {
    const { removal } = this.#place;
    // A removal that is not durable yet has said nothing: a crash now would bring the message back, with this recipient unsettled.
    if (segment === undefined && removal !== undefined) {
      removal.promise.then(
        () => super.durable(undefined, 0),
        (error: PosternError) => this.failed(error, true),
      );
    } else super.durable(segment, offset);
  }

  get #isNews(): boolean {
    return this.#place.removal?.taken !== true && this.#place.settled.has(this.#note);
  }
}

export class ScheduleAppend extends LastingAppend {
  readonly #index: QueueIndex;
  readonly #id: string;
  readonly #note: Note<Schedule>;

  constructor(index: QueueIndex, id: string, note: Note<Schedule>) {
    super();
    this.#index = index;
    this.#id = id;
    this.#note = note;
  }

  /** Replaces the word before, which is not said if it has not been yet. */
  static note(place: Place, note: Note<Schedule>): void {
    replaceNote(place.schedule);
    place.schedule = note;
  }

  protected record() {
    if (!this.#isNews) return undefined;
    return { kind: recordKinds.schedule, head: { id: this.#id, schedule: this.#note.value } };
  }

  protected land(segment: Segment, offset: number, headBytes: number): void {
    if (this.#isNews) landNote(this.#note, segment, offset, headBytes);
  }

  get #isNews(): boolean {
    return this.#index.get(this.#id)?.schedule === this.#note;
  }
}

export class RemoveAppend extends LastingAppend implements Removal {
  taken = false;
  readonly #id: string;
  readonly #land: () => void;

  constructor(id: string, land: () => void) {
    super();
    this.#id = id;
    this.#land = land;
  }

  take(): void {
    this.taken = true;
  }

  override failed(error: PosternError, final: boolean): boolean {
    this.taken = false;
    return super.failed(error, final);
  }

  protected record() {
    return { kind: recordKinds.remove, head: { id: this.#id } };
  }

  protected land(): void {
    this.#land();
  }
}

/** Says nothing, and is told when the log can be written again. */
export class AfterwardsAppend extends LastingAppend {
  readonly #then: () => void;

  constructor(then: () => void) {
    super();
    this.#then = then;
  }

  protected record(): undefined {
    return undefined;
  }

  protected land(): void {}

  override durable(): void {
    this.#then();
    super.durable(undefined, 0);
  }
}
