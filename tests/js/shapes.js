// What the library really gives, written as TypeScript, so that the compiler compares it with what
// `parlor.d.ts` says: a literal may neither lack a field that is declared nor have one that is not.

import {Parlor, ParlorError} from "../../src/web/library/parlor.js";

/** Every event that is told while `conversation` runs: owner, then type, to the details. */
export async function eventsOf(conversation) {
  const events = {ParlorEvents: {}, RoomEvents: {}};
  const emitter = Object.getPrototypeOf(Parlor.prototype);
  const emits = Object.getOwnPropertySymbols(emitter).find((key) => key.description === "emit");
  const emit = emitter[emits];
  emitter[emits] = function (type, detail) {
    const owner = events[this instanceof Parlor ? "ParlorEvents" : "RoomEvents"];
    (owner[type] ??= []).push(detail);
    return emit.call(this, type, detail);
  };
  try {
    await conversation();
  } finally {
    emitter[emits] = emit;
  }
  return events;
}

/** As an expression; errors and rooms are names that the code around declares. */
export function literal(value) {
  if (value instanceof ParlorError) return "error";
  if (value?.constructor?.name === "Room") return "room";
  if (value instanceof Map) return `new Map(${literal([...value])})`;
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  if (value === null || typeof value !== "object") {
    return typeof value === "string" ? JSON.stringify(value) : String(value);
  }
  const fields = Object.entries(value).map(([name, field]) => `${name}: ${literal(field)}`);
  return `{${fields.join(", ")}}`;
}

export class Claims {
  lines = [
    'import * as library from "parlor-chat";',
    'import type * as types from "parlor-chat";',
    "declare const error: types.ParlorError;",
    "declare const room: types.Room;",
    "type Member<Type, Name> = Name extends keyof Type ? Type[Name] : never;",
    "type Given<Type, Name> = Awaited<ReturnType<Extract<Member<Type, Name>, Call>>>;",
    "type Call = (...given: any[]) => unknown;",
    "void [library, error, room];",
  ];

  /** Of this type is each of these. */
  are(type, values) {
    const known = new Set(values.map(literal));
    for (const value of known) this.#claim(type, value);
  }

  /** Has these keys, all of them and no others. */
  hasKeys(type, keys) {
    const fields = [...new Set(keys)].map((key) => {
      const name = typeof key === "symbol" ? `[${key.description}]` : JSON.stringify(key);
      return `${name}: true`;
    });
    this.#claim(`Record<keyof ${type}, true>`, `{${fields.join(", ")}}`);
  }

  refuses(statement) {
    this.lines.push("// @ts-expect-error", statement);
  }

  #claim(type, value) {
    this.lines.push(`{ const claim: ${type} = ${value}; void claim; }`);
  }

  get text() {
    return `${this.lines.join("\n")}\n`;
  }
}

/** Of an object and what it inherits, but for `Object`'s: with what each name stands for. */
export function membersOf(object) {
  const members = new Map();
  for (let of = object; of && of !== Object.prototype; of = Object.getPrototypeOf(of)) {
    const all = Object.getOwnPropertyDescriptors(of);
    for (const key of Reflect.ownKeys(all)) if (!members.has(key)) members.set(key, all[key]);
  }
  return members;
}
