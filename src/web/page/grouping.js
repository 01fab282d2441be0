// How messages stand together: under one author, and on one day.

/** So long, or so many, the author and the time are not told again. */
const TOGETHER_MS = 5 * 60_000;
const TOGETHER = 15;

/**
 * How a message stands: whether it begins a `day`, and whether it is the `head` of a group of its
 * author's. `previous` is the standing of the one before it. Where a group ends is counted from the
 * beginning of time and of the room: so nothing changes when older messages are put before it.
 */
export function standing(previous, {userId, at, seq}) {
  // One that waits for its place will have the next.
  const place = seq ?? (previous?.place ?? 0) + 1;
  const day = !previous || dayOf(previous.at) !== dayOf(at);
  const isSame = (one, other, size) => Math.floor(one / size) === Math.floor(other / size);
  const head = day || previous.userId !== userId || !isSame(previous.at, at, TOGETHER_MS) ||
    !isSame(previous.place, place, TOGETHER);
  return {day, head, userId, at, place};
}

/** The calendar day in the person's own time zone. */
export function dayOf(at) {
  const date = new Date(at);
  return `${date.getFullYear()}-${date.getMonth() + 1}-${date.getDate()}`;
}

/** Days from one moment's date to another's, whatever the clocks did between. */
export function daysBetween(from, to) {
  const midnight = (at) => {
    const date = new Date(at);
    return Date.UTC(date.getFullYear(), date.getMonth(), date.getDate());
  };
  return Math.round((midnight(to) - midnight(from)) / 86_400_000);
}
