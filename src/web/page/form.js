// Forms that are sent by the page itself: each fault is told beside its field.

import {$, make} from "./dom.js";
import {fault, reason, say} from "./words.js";

/** The dialog `id` around its form. Gives what opens it, empty; `action` closes it. */
export function formDialog(id, action, signal) {
  const [dialog, form] = [$(id), $(`${id}-form`)];
  $(`${id}-cancel`).addEventListener("click", () => dialog.close(), {signal});
  onSubmit(form, action, signal);
  // No password stays in the document.
  dialog.addEventListener("close", () => form.reset(), {signal});
  return () => {
    clear(form);
    dialog.showModal();
  };
}

/** The button beside a password shows and hides it. */
export function revealing(input, button, signal) {
  const show = (shown) => {
    input.type = shown ? "text" : "password";
    button.textContent = say(shown ? "signin.hide" : "signin.show");
    button.setAttribute("aria-pressed", String(shown));
  };
  button.addEventListener("click", () => show(input.type === "password"), {signal});
  input.form.addEventListener("reset", () => show(false), {signal});
  show(false);
}

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
  const faults = about ? [[about, reason(error)]]
    : (error.fields ?? []).map(({field: name, message}) => [name, fault(name, message)]);
  const others = [];
  let first = null;
  for (const [name, text] of faults) {
    const input = form.elements.namedItem(name);
    if (!input) {
      others.push(`${name}: ${text}`);
      continue;
    }
    if (input.hasAttribute("aria-invalid")) continue;
    const properties = {className: "fault field", id: `${input.id}-fault`};
    const told = make("p", properties, [text]);
    input.setAttribute("aria-invalid", "true");
    describe(input, told.id);
    input.closest(".field-box").append(told);
    first ??= input;
  }
  if (!first && others.length === 0) others.push(reason(error));
  form.querySelector(".fault[role=alert]").textContent = others.join(" ");
  first?.focus();
}

/** Beside its own hint, if it has one. */
function describe(input, id) {
  const ids = [input.dataset.hint, id].filter(Boolean).join(" ");
  if (ids === "") input.removeAttribute("aria-describedby");
  else input.setAttribute("aria-describedby", ids);
}
