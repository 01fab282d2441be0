// A store of unsent messages that tests can look into.

/** As `indexedDbStore`, in memory: each account on each server has its own. */
export class Kept {
  all = new Map();

  of(scope) {
    if (!this.all.has(scope)) this.all.set(scope, new Map());
    return this.all.get(scope);
  }

  get texts() {
    return [...this.all.values()].flatMap((kept) => [...kept.values()].map(({text}) => text));
  }

  async load(scope) { return [...this.of(scope).values()]; }
  async save(scope, entry) { this.of(scope).set(entry.key, structuredClone(entry)); }
  async remove(scope, key) { this.of(scope).delete(key); }
}
