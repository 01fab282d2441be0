/**
 * The client library of Parlor, a room server: it signs in, joins rooms, says and hears, and comes
 * back after whatever happens to the connection without losing or doubling a message.
 *
 * Times are milliseconds since the Unix epoch, UTC, if they are named `at`, `createdAt` or
 * `expiresAt`; durations are milliseconds.
 */

/** The server's codes (its `protocol.md` lists them) and the library's own. */
export type ErrorCode =
  // Over HTTP and on the socket.
  | "invalid"
  | "no_such_room"
  | "forbidden"
  | "message_too_large"
  | "id_conflict"
  | "rate_limited"
  | "overloaded"
  | "unavailable"
  | "internal"
  | "bad_frame"
  | "unknown_type"
  | "not_in_room"
  | "too_many_rooms"
  | "bad_json"
  | "unauthorized"
  | "not_found"
  | "method_not_allowed"
  | "username_taken"
  | "slug_taken"
  | "too_large"
  | "unsupported_media_type"
  | "signup_closed"
  // The library's.
  /** Another `join` of this client entered the same room under another address. */
  | "already_joined"
  /** The client was closed. */
  | "closed"
  /** `discard` took the message back. */
  | "discarded"
  /** An HTTP error without a code, from something between here and the server. */
  | "http"
  /** A room is iterated by one loop at a time. */
  | "iterating"
  /** The room was left before the message was stored. */
  | "left"
  /** The server cannot be reached. */
  | "network"
  /** This runtime has no `WebSocket`, and none was given. */
  | "no_websocket"
  /** The message was said to another database than the server has now. */
  | "other_database"
  /** The new token is another account's. */
  | "other_user"
  /** The server closed the connection for a fault of this client. */
  | "protocol"
  /** A bound of this client: `maxUnsent`, `maxUnsentBytes` or `maxRequests`. */
  | "queue_full"
  /** The store of unsent messages failed; everything else goes on. */
  | "store";

export interface FieldError {
  field: string;
  message: string;
}

/** Whatever goes wrong. */
export class ParlorError extends Error {
  constructor(
    code: ErrorCode | (string & {}),
    message: string,
    details?: {
      fields?: FieldError[];
      retryAfter?: number;
      retryable?: boolean;
      status?: number;
      cause?: unknown;
    },
  );
  readonly name: "ParlorError";
  /** For programs. A newer server may have codes that are not listed here. */
  readonly code: ErrorCode | (string & {});
  /** Every field at fault; empty if it is not about fields. */
  readonly fields: FieldError[];
  /** Whether the same may succeed later. */
  readonly retryable: boolean;
  /** Milliseconds after which to try again, if the server told. */
  readonly retryAfter: number | undefined;
  /** Of the HTTP answer, if it was one. */
  readonly status: number | undefined;
  readonly cause?: unknown;
}

// ---- what the server tells ----------------------------------------------------------------------

export interface User {
  userId: number;
  username: string;
  displayName: string;
  role: "admin" | "member";
  createdAt: number;
}

export interface RoomInfo {
  roomId: number;
  slug: string;
  name: string;
  createdBy: number;
  createdAt: number;
  /** Whether a message is heard at once, or only when the disk has it. */
  delivery: "immediate" | "committed";
  /** The lowest seq still stored; 0 in an empty room. */
  first: number;
  /** The last seq that is stored; 0 in an empty room. */
  head: number;
  /** How many messages the room ever had. Unread is a difference of counts, never of seqs. */
  count: number;
}

export interface Message {
  roomId: number;
  /** Its place in the room: rising, the same for everyone, with gaps after a server's crash. */
  seq: number;
  userId: number;
  username: string;
  message: string;
  at: number;
  id?: string;
  /** On the first message after a gap in the seqs: the seq before it. */
  prev?: number;
}

export interface Page {
  /** Oldest first. */
  messages: Message[];
  head: number;
  count: number;
  /** More in the direction that was asked for; on the newest page, older ones. */
  hasMore: boolean;
}

export interface Person {
  userId: number;
  username: string;
}

// ---- saying -------------------------------------------------------------------------------------

/** Where a message got its place. */
export interface Heard {
  id: string;
  seq: number;
  at: number;
}

/** The message is on disk. */
export interface Receipt extends Heard {
  /** It was stored by an earlier attempt already. */
  duplicate: boolean;
}

/** Settles once, when the message is on disk or refused for good. */
export interface Sending extends Promise<Receipt> {
  readonly id: string;
  /** Settles when the room heard it, at the latest with the receipt. What was heard may still be
   * lost in a crash of the server; then it is sent again by itself. */
  readonly heard: Promise<Heard>;
}

/** A message without an ack. */
export interface Unsent {
  id: string;
  message: string;
  /** The address under which the room was joined. */
  room: string;
  /** Whether the room heard it already. */
  heard: boolean;
}

// ---- rooms --------------------------------------------------------------------------------------

/**
 * - `joining`: not in the room at the moment, but it will be;
 * - `catching-up`: what was missed is still coming, or waits until it is wanted;
 * - `live`: what comes is what is said now;
 * - `left`: for good.
 */
export type RoomState = "joining" | "catching-up" | "live" | "left";

export interface Joined {
  roomId: number;
  head: number;
  first: number;
  count: number;
  delivery: "immediate" | "committed";
  /** The seq behind which messages follow. */
  cursor: number;
}

export interface Presence {
  roomId: number;
  /** `joined` is everybody. */
  snapshot?: boolean;
  joined?: Person[];
  left?: Person[];
  /** People, not connections. In a crowd it is all that is told. */
  count: number;
}

export interface RoomEvents {
  /** A message, handed on. While the room is iterated, at the loop's pace. */
  message: Message;
  /** An event of a kind that this library does not know. */
  event: {type: string; roomId: number; seq: number; [field: string]: unknown};
  /** In the room, at first or again. */
  joined: Joined;
  state: {state: RoomState};
  /** Discard the messages held with `after < seq < before`: a crash of the server lost them. */
  retract: {after: number; before: number};
  /** Discard everything held: it is another database. A room that was joined with `after` is read
   * from its beginning; for another, ask for `history` again. */
  reset: {log: string};
  presence: Presence;
  typing: Person & {roomId: number};
  /** Of own messages, in this order; the last two are the outcome. A promise that fails with
   * `closed`, `other_database` or what made the client fail has none: the message stays kept. */
  sending: {id: string; message: string};
  heard: Heard;
  ack: Receipt;
  refused: {id: string; message: string; error: ParlorError};
  /** Messages of an earlier page of this browser are about to be sent. */
  restored: {unsent: Unsent[]};
  /** Out of the room for good, unasked if there is a reason or an error. */
  left: {reason?: "deleted" | "removed" | (string & {}); error?: ParlorError};
  /** Why the room was left. */
  error: ParlorError;
}

/**
 * A room that was joined. Its messages are handed on either to `message` listeners as they come, or
 * to one loop at its own pace: `for await (const message of room)`. What is not handed on when the
 * connection breaks comes again. Without either, messages wait in a bounded queue.
 *
 * The loop ends when the room is left, and throws if that has an error, or when the connection is
 * given up (`unauthorized`, `protocol`); once that is mended, another loop goes on from there.
 */
export class Room implements AsyncIterable<Message> {
  private constructor();
  /** As it was joined. */
  readonly address: string;
  /** `null` until the address was looked up. */
  readonly roomId: number | null;
  readonly state: RoomState;
  /** Seq of the last message handed on. To go on from there another time, keep it with `log`. */
  readonly cursor: number | undefined;
  readonly log: string | undefined;
  /** Who is here, as far as names are told: userId to username. Empty while not in the room. */
  readonly people: Map<number, string>;
  /** How many are here. */
  readonly count: number;
  /** Own messages without an ack, in order. */
  readonly unsent: Unsent[];

  /**
   * Says something, once, however often the connection breaks meanwhile. Whoever does not wait for
   * the promise takes its failure: `room.send(text).catch(() => {})`.
   *
   * Rejects with a `ParlorError`: `queue_full` at once if too much is unsent, `message_too_large`,
   * `id_conflict`, `invalid` and so on if the server refuses it for good, `left` or `closed`. What
   * can be tried again is tried again by itself.
   *
   * @param options.id 1 to 64 bytes without control characters, unique for this account and room;
   *   by default one is made.
   */
  send(text: string, options?: {id?: string}): Sending;

  /** Tells the others that this person is writing. Call it at each keystroke. */
  typing(): void;

  /**
   * A page of messages: the newest, or those before or after a seq.
   * @param query.limit 1 to 200; 50 if left out.
   */
  history(query?: {before?: number; after?: number; limit?: number}): Promise<Page>;

  /** Hands nothing more on. Settles when what was said is acknowledged and the room left, or when
   * another `join` takes it back. */
  leave(): Promise<void>;

  /** Gives a function that takes the listener off. */
  on<Type extends keyof RoomEvents>(
    type: Type,
    listener: (detail: RoomEvents[Type]) => void,
  ): () => void;
  off<Type extends keyof RoomEvents>(
    type: Type,
    listener: (detail: RoomEvents[Type]) => void,
  ): void;

  [Symbol.asyncIterator](): AsyncIterableIterator<Message>;
}

// ---- the client ---------------------------------------------------------------------------------

/**
 * - `idle`: no room was joined yet;
 * - `connecting`, `open`;
 * - `waiting`: it comes back after a pause;
 * - `renewing`: it asks for another token;
 * - `unauthorized`: it waits for `useToken`;
 * - `failed`: the server did not understand it; `reconnect` tries again;
 * - `closed`.
 */
export type ParlorState =
  | "idle"
  | "connecting"
  | "open"
  | "waiting"
  | "renewing"
  | "unauthorized"
  | "failed"
  | "closed";

export interface ParlorEvents {
  state: {
    state: ParlorState;
    /** Of `waiting`. */
    retryInMs?: number;
    /** The close code, of `waiting`. */
    code?: number;
    /** Of `failed`. */
    error?: ParlorError;
    /** Of `open`. */
    userId?: number;
    log?: string;
  };
  error: ParlorError;
  /** The token was renewed. A cookie's client has none to tell. */
  token: {token: string | undefined; expiresAt: number | undefined};
  /** What was kept of earlier pages is known, once for each client. These messages are of rooms that
   * are not joined, and sent when they are: `join` their `room`, and `leave` it if only that is
   * wanted. */
  restored: {unsent: Unsent[]};
  /** After `watch`: all rooms, then those that changed, appeared or (`gone`) went. */
  rooms: {
    /** These are all rooms, whole: they replace what was told before. */
    snapshot?: boolean;
    /** More of the same answer follow, in frames without `snapshot`. */
    hasMore?: boolean;
    rooms: {
      roomId: number;
      slug?: string;
      name?: string;
      head?: number;
      count?: number;
      gone?: boolean;
    }[];
  };
}

/** An unsent message as a store keeps it: opaque, but for its key. */
export interface StoredMessage {
  key: string;
  id: string;
  text: string;
  address: string;
  roomId: number | null;
  order: number;
  userId: number;
  /** The database that it was said to, if one was known. */
  log?: string;
}

/** Keeps what is unsent. A scope is one account on one server. A call that fails, or has no answer
 * within `storeTimeoutMs`, is told as an `error`; the messages go all the same. */
export interface Store {
  load(scope: string): Promise<StoredMessage[]>;
  save(scope: string, message: StoredMessage): Promise<unknown>;
  remove(scope: string, key: string): Promise<unknown>;
}

/** As much of a WebSocket as is used; with `terminate`, one whose farewell nobody answers is cut
 * off after 3 seconds. */
export interface WebSocketLike {
  readonly readyState: number;
  onmessage: ((event: any) => any) | null;
  onclose: ((event: any) => any) | null;
  onerror: ((event: any) => any) | null;
  send(text: string): void;
  close(): void;
  terminate?(): void;
}

/** Every bound and pause; see `DEFAULTS` for what they are if left out. The least is 1, but 0 for
 * `stableMs`, `heartbeatMs` and `typingIntervalMs`. */
export interface Bounds {
  /** Messages of a room that wait for the application; past it they are asked for again later. */
  maxQueued?: number;
  /** Of their texts, in memory: two bytes for each UTF-16 unit. */
  maxQueuedBytes?: number;
  /** Messages said and not acknowledged, in all rooms; past it `send` fails with `queue_full`. */
  maxUnsent?: number;
  /** Of their texts, in memory: two bytes for each UTF-16 unit. */
  maxUnsentBytes?: number;
  /** Messages on their way at once, in all rooms. */
  maxInFlight?: number;
  /** Messages of one room sent before the first is heard or acknowledged. With more than one, a
   * message that the server puts off may be overtaken by a later one. */
  window?: number;
  /** Rooms joined at once; past it `join` throws `too_many_rooms`. */
  maxRooms?: number;
  /** Calls of the application over HTTP at once; past it they fail with `queue_full`. */
  maxRequests?: number;
  /** The longest first pause before coming back; it doubles up to `backoffMaxMs`. */
  backoffMs?: number;
  backoffMaxMs?: number;
  /** A connection that lives this long makes the pauses short again. */
  stableMs?: number;
  /** How long until the server's first frame. */
  connectTimeoutMs?: number;
  requestTimeoutMs?: number;
  /** A message without an answer is sent again after this time; as long again without one, and the
   * connection is given up. */
  ackTimeoutMs?: number;
  /** A store that takes longer is gone on without. */
  storeTimeoutMs?: number;
  /** Silence after which the server is asked, and as long again until the connection is given up.
   * 0: what the server says. */
  heartbeatMs?: number;
  /** How long the server may take to answer after `wake`, until the connection is given up. */
  wakeTimeoutMs?: number;
  typingIntervalMs?: number;
  /** The token is renewed at half of its life, within these bounds, while there is a connection. */
  refreshMinMs?: number;
  refreshMaxMs?: number;
}

export interface Options extends Bounds {
  /** Use the server's cookie instead of a token: for pages of the server's own origin. */
  cookie?: boolean;
  /** Where unsent messages are kept: by default IndexedDB where there is one; `null` keeps none. */
  store?: Store | null;
  /** For runtimes that have no global one. */
  WebSocket?: new (url: string) => WebSocketLike;
  fetch?: (url: string, request: any) => Promise<any>;
  /** Begins the ids of messages, 1 to 46 bytes; random letters and a counter follow. */
  idPrefix?: string;
  /** From 0 up to 1; for pauses. */
  random?: () => number;
  /** For tests. */
  timers?: {
    /** Milliseconds of a clock that nobody sets. */
    now(): number;
    /** The time of day; `now` if left out. */
    date?(): number;
    set(action: () => void, ms: number): unknown;
    clear(timer: any): void;
  };
}

/** With a token, or with the cookie that has it. */
export type TokenOptions = Options & {
  /** Of the token; without it, the token is renewed at once. */
  expiresAt?: number;
  /** Whose token it is. Unsent messages are then kept before the first connection, too. */
  userId?: number;
  user?: User;
} & ({token: string; cookie?: false} | {cookie: true; token?: undefined});

export interface Credentials {
  username: string;
  password: string;
}

export interface NewAccount extends Credentials {
  displayName?: string;
  /** What the server printed at its start, for the first account. */
  setupCode?: string;
}

/** A client: one connection, any number of rooms, and the calls of the HTTP API. */
export class Parlor {
  static signIn(url: string, credentials: Credentials, options?: Options): Promise<Parlor>;
  static signUp(url: string, account: NewAccount, options?: Options): Promise<Parlor>;

  /** Connects with the first `join`. */
  constructor(url: string, options: TokenOptions);

  readonly state: ParlorState;
  /** Known after `signIn`, `signUp` and `me`. */
  user: User | undefined;
  /** Known once connected. */
  readonly userId: number | undefined;
  /** Names the server's database, once connected. */
  readonly log: string | undefined;
  /** The rooms that are joined. */
  readonly joined: Room[];
  /** Own messages without an ack, also of rooms that are not joined. */
  readonly unsent: Unsent[];

  /**
   * Enters a room and stays in it. A room that is joined already is given as it is.
   * Throws `closed`, `too_many_rooms`, or `invalid` if the address or `after` can be none.
   * @param address its slug or its id.
   * @param options.after the seq behind which to begin, 0 for everything; by default what is said
   *   from now on.
   * @param options.log the `log` that was kept with `after`.
   */
  join(address: string | number, options?: {after?: number; log?: string}): Room;

  /** Comes back at once, instead of after a pause. */
  reconnect(): void;
  /**
   * To be called when something happened that the connection may not have outlived: the network
   * changed, the machine slept. A connection is asked at once, and given up if nothing is heard
   * within `wakeTimeoutMs`; a pause is cut short, unless the server asked for it, and at most once
   * in `stableMs`.
   *
   * Settles when that is known: `true` when the server was heard, `false` when it could not be, or
   * when nothing is to be expected (`idle`, `unauthorized`, `failed`, `closed`).
   */
  wake(): Promise<boolean>;
  /** After signing in again as the same account; with a cookie, without arguments. Without
   * `expiresAt` the token is renewed at once. */
  useToken(token?: string, options?: {expiresAt?: number}): void;
  /** From now on, `rooms` events tell what changes in all rooms. If the server cannot tell at the
   * moment, it is asked again by itself. */
  watch(): void;
  /** Takes an unsent message back: it is not sent (again), and forgotten by the store. One that is
   * on its way may arrive all the same. `false` if there is none with this id. */
  discard(id: string): boolean;
  /** Ends everything; sends that are open fail with `closed`, but stay kept if there is a store.
   * Calls over HTTP fail with `closed`. */
  close(): void;
  /** Ends the session on the server, forgets everything that is kept for the account, and closes;
   * also if the session has ended already. If the server cannot be reached, it rejects, and
   * everything goes on. */
  signOut(): Promise<void>;

  me(): Promise<User>;
  rooms(query?: {after?: number; limit?: number}): Promise<{rooms: RoomInfo[]; hasMore: boolean}>;
  room(address: string | number): Promise<RoomInfo>;
  createRoom(room: {
    name: string;
    slug?: string;
    delivery?: "immediate" | "committed";
  }): Promise<RoomInfo>;
  deleteRoom(address: string | number): Promise<void>;
  /** Any other call of the HTTP API; `path` is below `/api/v1`. */
  request<Answer = unknown>(
    method: string,
    path: string,
    details?: {query?: Record<string, string | number | undefined>; body?: unknown},
  ): Promise<Answer>;

  on<Type extends keyof ParlorEvents>(
    type: Type,
    listener: (detail: ParlorEvents[Type]) => void,
  ): () => void;
  off<Type extends keyof ParlorEvents>(
    type: Type,
    listener: (detail: ParlorEvents[Type]) => void,
  ): void;
}

/** The store of unsent messages that browsers use by default. */
export function indexedDbStore(indexedDB?: any, name?: string): Store;

export const DEFAULTS: Readonly<Required<Bounds>>;
