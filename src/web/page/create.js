// The dialog in which a room is made.

import {$} from "./dom.js";
import {formDialog} from "./form.js";

/** `onMade(room)` is called with the API's description of the new room. */
export function createDialog(make, onMade, signal) {
  const open = formDialog("create", async ({name = "", slug, committed}) => {
    const room = await make({name, slug, ...(committed && {delivery: "committed"})});
    $("create").close();
    onMade(room);
  }, signal);
  $("create-open").addEventListener("click", open, {signal});
}
