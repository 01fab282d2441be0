// Days and hours as the person's language writes them.

import {daysBetween} from "./grouping.js";
import {language, say} from "./words.js";

const format = (options) => new Intl.DateTimeFormat(language, options);
const CLOCK = format({hour: "numeric", minute: "2-digit"});
const FULL = format({dateStyle: "full", timeStyle: "medium"});
const DAY = format({weekday: "long", day: "numeric", month: "long"});
const DAY_OF_YEAR = format({day: "numeric", month: "long", year: "numeric"});

export const clock = (at) => CLOCK.format(at);
export const fullTime = (at) => FULL.format(at);

export function dayName(at, now = Date.now()) {
  const ago = daysBetween(at, now);
  if (ago === 0) return say("talk.today");
  if (ago === 1) return say("talk.yesterday");
  const sameYear = new Date(at).getFullYear() === new Date(now).getFullYear();
  return (sameYear ? DAY : DAY_OF_YEAR).format(at);
}
