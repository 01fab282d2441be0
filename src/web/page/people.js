// Who is in the room.

import {$, initial, make} from "./dom.js";
import {language, say} from "./words.js";

const ORDER = new Intl.Collator(language, {numeric: true});

export function presence(room, me) {
  const button = $("people-button");
  const count = room?.count ?? 0;
  button.hidden = count === 0;
  if (!room) return $("people").hidePopover?.();
  $("people-count").textContent = say("talk.here", {count});
  const names = [...room.people].sort(([, one], [, other]) => ORDER.compare(one, other));
  const items = names.map(([userId, name]) => {
    const avatar = make("span", {className: "avatar small"}, [initial(name)]);
    avatar.setAttribute("aria-hidden", "true");
    const text = userId === me.userId ? say("talk.you", {name}) : name;
    return make("li", {}, [avatar, make("bdi", {}, [text])]);
  });
  $("people-list").replaceChildren(...items);
  $("people-list").hidden = names.length === 0;
  $("people-crowd").hidden = names.length > 0;
  return undefined;
}
