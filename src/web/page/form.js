// Forms that are sent by the page itself: each fault is told beside its field.

import {make} from "./dom.js";
import {reason} from "./words.js";

/** Calls `action` with the fields that are filled in; what it throws is told. */
export function onSubmit(form, action, signal) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("[type=submit]");
    if (button.ariaBusy === "true") return;
    clear(form);
    button.ariaBusy = "true";
    try {
      const filled = [...new FormData(form)].filter(([, value]) => value !== "");
      await action(Object.fromEntries(filled));
    } catch (error) {
      tell(form, error);
    } finally {
      button.ariaBusy = "false";
    }
  }, {signal});
}

export function clear(form) {
  for (const fault of form.querySelectorAll(".fault.field")) fault.remove();
  for (const input of form.querySelectorAll("[aria-invalid]")) {
    input.removeAttribute("aria-invalid");
    describe(input, null);
  }
  form.querySelector(".fault[role=alert]").textContent = "";
}

/** `fields` of an error are `[{field, message}]`; some codes speak of one field. */
function tell(form, error) {
  const field = {username_taken: "username", slug_taken: form.elements.slug ? "slug" : "name"};
  const about = field[error.code];
  const faults = about ? [{field: about, message: reason(error)}] : error.fields ?? [];
  const others = [];
  let first = null;
  for (const {field: name, message} of faults) {
    const input = form.elements.namedItem(name);
    if (!input) {
      others.push(`${name}: ${message}`);
      continue;
    }
    if (input.hasAttribute("aria-invalid")) continue;
    const properties = {className: "fault field", id: `${input.id}-fault`};
    const fault = make("p", properties, [sentence(message)]);
    input.setAttribute("aria-invalid", "true");
    describe(input, fault.id);
    input.closest(".field-box").append(fault);
    first ??= input;
  }
  if (!first && others.length === 0) others.push(reason(error));
  form.querySelector(".fault[role=alert]").textContent = others.join(" ");
  first?.focus();
}

/** The server's rules begin small, as they follow a field's name elsewhere. */
function sentence(text) {
  return text.charAt(0).toLocaleUpperCase() + text.slice(1);
}

/** Beside its own hint, if it has one. */
function describe(input, id) {
  const ids = [input.dataset.hint, id].filter(Boolean).join(" ");
  if (ids === "") input.removeAttribute("aria-describedby");
  else input.setAttribute("aria-describedby", ids);
}
