// The dialog over the account, and the question before something is deleted.

import {ParlorError} from "/parlor.js";
import {$} from "./dom.js";
import {formDialog, revealing} from "./form.js";
import {say} from "./words.js";

/** Gives `ask({title, text, submit, byPassword}, action)`: `action(fields)` closes the dialog. */
export function deleteDialog(signal) {
  let act;
  const open = formDialog("delete", (fields) => act(fields), signal);
  return ({title, text, submit, byPassword = false}, action) => {
    act = action;
    $("delete-title").textContent = title;
    $("delete-text").textContent = text;
    $("delete-submit").textContent = submit;
    $("delete-password-box").hidden = !byPassword;
    open();
  };
}

/** `ask` is that of `deleteDialog`; `remove(answer)` gets the promise of the account's end. */
export function accountDialog(parlor, ask, {onChanged, remove}, signal) {
  const {userId, username} = parlor.user;
  const on = (id, action) => $(id).addEventListener("click", action, {signal});
  /** The cookie may be another account's by now: that of another tab. */
  const own = async (...call) => {
    const {user} = await parlor.request("GET", "/me");
    if (user.userId !== userId) throw new ParlorError("other_user", "");
    await parlor.request(...call);
  };
  const open = formDialog("account", async ({currentPassword = "", newPassword = ""}) => {
    await own("POST", "/me/password", {body: {currentPassword, newPassword}});
    $("account").close();
    onChanged();
  }, signal);
  revealing($("new-password"), $("new-password-show"), signal);
  // By which the browser knows whose password it is; it outlives the form's reset.
  $("account-name").defaultValue = username;
  on("account-open", open);
  on("account-delete", () => {
    $("account").close();
    ask({
      title: say("account.removeTitle"),
      text: say("account.removeText", {name: username}),
      submit: say("account.remove"),
      byPassword: true,
    }, async ({currentPassword: password = ""}) => {
      try {
        await remove(own("DELETE", "/me", {body: {password}}));
      } catch (error) {
        // Whatever is wrong with it, it is not the account's.
        for (const fault of error.fields ?? []) fault.field = "currentPassword";
        throw error;
      }
    });
  });
}
