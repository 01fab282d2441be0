// The dialog in which a room is made.

import {$} from "./dom.js";
import {clear, onSubmit} from "./form.js";

/** `onMade(room)` is called with the API's description of the new room. */
export function createDialog(make, onMade, signal) {
  const [dialog, form] = [$("create"), $("create-form")];
  const on = (id, action) => $(id).addEventListener("click", action, {signal});
  on("create-open", () => {
    form.reset();
    clear(form);
    dialog.showModal();
  });
  on("create-cancel", () => dialog.close());
  onSubmit(form, async ({name = "", slug, committed}) => {
    const room = await make({name, slug, ...(committed && {delivery: "committed"})});
    dialog.close();
    onMade(room);
  }, signal);
}
