// How messages stand together: under one author, and on one day.

const TOGETHER_MS = 5 * 60_000;

/** Whether a message begins a day, and whether it begins a group of its author's. */
export function standing(previous, message) {
  const day = !previous || dayOf(previous.at) !== dayOf(message.at);
  const head = day || previous.userId !== message.userId ||
    message.at - previous.at > TOGETHER_MS;
  return {day, head};
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
