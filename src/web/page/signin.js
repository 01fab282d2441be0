// Signing in and signing up: one form that is either.

import {Parlor, ParlorError} from "/parlor.js";
import {$} from "./dom.js";
import {clear, onSubmit, revealing} from "./form.js";
import {say} from "./words.js";

export class SignIn {
  #form = $("signin");
  #isNew = false;
  #onDone;

  /** `onDone(parlor)` gets a client that is signed in. */
  constructor(onDone) {
    this.#onDone = onDone;
    onSubmit(this.#form, (fields) => this.#submit(fields));
    $("signin-switch").addEventListener("click", () => {
      this.#mode(!this.#isNew);
      this.#form.elements.username.focus();
    });
    revealing($("password"), $("password-show"));
    this.#mode(false);
  }

  /** `why` tells what ended the session before, `room` to which room a link was followed. */
  show({why = "", room = null} = {}) {
    clear(this.#form);
    // Whoever signed up a while ago has an account now.
    this.#mode(false);
    $("signin-why").textContent = why || (room ? say("signin.invited", {room}) : "");
    $("entry").hidden = false;
    this.#form.elements.username.focus();
  }

  hide() {
    $("entry").hidden = true;
    this.#form.reset();
  }

  async #submit(fields) {
    const {username = "", password = "", ...rest} = fields;
    const options = {cookie: true};
    try {
      const parlor = this.#isNew
        ? await Parlor.signUp(location.origin, {username, password, ...rest}, options)
        : await Parlor.signIn(location.origin, {username, password}, options);
      await this.#keptCookie(parlor);
      this.#onDone(parlor);
    } catch (error) {
      const isAsked = error.fields?.some(({field}) => field === "setupCode");
      if (!isAsked || !$("setup-box").hidden) throw error;
      // Only where the server asks for it, and that is no fault yet.
      $("setup-box").hidden = false;
      this.#form.elements.setupCode.focus();
    }
  }

  /** A browser that is told to use the cookie over HTTPS only has none over HTTP. */
  async #keptCookie(parlor) {
    try {
      await parlor.me();
    } catch (error) {
      parlor.close();
      if (error.status === 401) throw new ParlorError("cookie", error.message);
      throw error;
    }
  }

  #mode(isNew) {
    this.#isNew = isNew;
    clear(this.#form);
    $("signin-title").textContent = say(isNew ? "signin.titleNew" : "signin.title");
    $("signin-submit").textContent = say(isNew ? "signin.submitNew" : "signin.submit");
    $("signin-question").textContent = say(isNew ? "signin.toOld" : "signin.toNew");
    $("signin-switch").textContent = say(isNew ? "signin.title" : "signin.titleNew");
    for (const box of this.#form.querySelectorAll("[data-new]")) box.hidden = !isNew;
    $("setup-box").hidden = true;
    const {password} = this.#form.elements;
    password.autocomplete = isNew ? "new-password" : "current-password";
    if (isNew) password.dataset.hint = "password-hint";
    else delete password.dataset.hint;
    password.setAttribute("aria-describedby", isNew ? "password-hint" : "");
  }
}
