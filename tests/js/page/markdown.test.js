// What the page understands of Markdown, and that nothing takes it long.

import assert from "node:assert/strict";
import {test} from "node:test";
import {parse, safeUrl} from "../../../src/web/page/markdown.js";

/** As a text that is easy to compare: `bold(a)`, `link(href|a)`, `¶` before a paragraph. */
function shown(nodes) {
  return nodes.map((node) => {
    switch (node.type) {
      case "text": return node.text;
      case "break": return "⏎";
      case "code": return `code(${node.text})`;
      case "codeBlock": return `block(${node.language}|${node.text})`;
      case "paragraph": return `¶${shown(node.children)}`;
      case "quote": return `quote(${shown(node.children)})`;
      case "link": return `link(${node.href}|${shown(node.children)})`;
      case "list": {
        const items = node.items.map(shown).join("|");
        return `${node.ordered ? node.start : "list"}(${items})`;
      }
      default: return `${node.type}(${shown(node.children)})`;
    }
  }).join("");
}

const is = (text, expected) => assert.equal(shown(parse(text)), expected, text);

test("emphasis", () => {
  is("a **b** c", "¶a bold(b) c");
  is("a *b* c _d_ e __f__", "¶a italic(b) c italic(d) e bold(f)");
  is("**a *b* c**", "¶bold(a italic(b) c)");
  is("***a***", "¶bold(italic(a))");
  is("*a **b** c*", "¶italic(a bold(b) c)");
  is("**`a`**", "¶bold(code(a))");
});

test("what looks like emphasis and is not", () => {
  is("snake_case_name and 2 * 3 * 4", "¶snake_case_name and 2 * 3 * 4");
  is("a ** b ** c", "¶a ** b ** c");
  is("**", "¶**");
  is("****", "¶****");
  is("*a", "¶*a");
  is("a*", "¶a*");
});

test("what people write for itself stays as it is", () => {
  for (const text of ["¯\\_(ツ)_/¯", "2*3*4 and x*y*z", "2**3**4", "α*β*γ", "__init__.py",
    "_private and __init__() of obj.__class__.name", "src/__tests__/a.js", "~~", "~~~ a ~~", "~a~",
    "C:\\_old\\[a] and \\\\server\\share", "a\\b \\", "\\d+ \\> \\- \\*", ">:(", ">_<",
    "a*b", "5 * 3 * 2"]) {
    is(text, `¶${text}`);
  }
});

test("what was meant as a mark is one", () => {
  is("~~gone~~ *and* ~~**so**~~", "¶struck(gone) italic(and) struck(bold(so))");
  is("这是*重点*内容", "¶这是italic(重点)内容");
  is("(*a*) _b_, __c__. _d_ (e)", "¶(italic(a)) italic(b), bold(c). italic(d) (e)");
  is("**Note**s", "¶bold(Note)s");
});

test("a backslash takes its meaning from a mark", () => {
  is("\\*a\\* \\_b\\_ \\`c\\` \\~~d~~", "¶*a* _b_ `c` ~~d~~");
  is("*a \\* b*", "¶italic(a * b)");
  is("\\[a](https://b.example)",
    "¶[a](link(https://b.example/|https://b.example))");
  is("[a\\](https://b.example)",
    "¶[a](link(https://b.example/|https://b.example))");
  is("\\- a\n\\> b\n\\* c", "¶- a⏎> b⏎* c");
});

test("code is kept as it is", () => {
  is("a `b *c* <d>` e", "¶a code(b *c* <d>) e");
  is("``a ` b``", "¶code(a ` b)");
  is("`a", "¶`a");
  is("```js\nlet a = `b`;\n\n  c\n```", "block(js|let a = `b`;\n\n  c)");
  is("a\n```\nb\n```\nc", "¶a" + "block(|b)" + "¶c");
  is("```\na", "¶```⏎a");
});

test("lines and paragraphs", () => {
  is("a\nb\n\n\nc", "¶a⏎b¶c");
  is("", "");
  is("  a  b", "¶  a  b");
});

test("quotes and lists", () => {
  is("> a\n> b\nc", "quote(¶a⏎b)¶c");
  is("> > a\n> b", "quote(quote(¶a)¶b)");
  is("- a\n- *b*\n* c", "list(a|italic(b)|c)");
  is("3. a\n4) b", "3(a|b)");
  is("a\n- b", "¶alist(b)");
  is("-a\n1.b", "¶-a⏎1.b");
  is(">>>>>> a", "quote(quote(quote(quote(¶>> a))))");
});

test("links", () => {
  is("see https://a.example/b_c_d.",
    "¶see link(https://a.example/b_c_d|https://a.example/b_c_d).");
  is("(https://a.example/b)", "¶(link(https://a.example/b|https://a.example/b))");
  is("https://a.example/b_(c)", "¶link(https://a.example/b_(c)|https://a.example/b_(c))");
  is("[a *b*](https://c.example/)", "¶link(https://c.example/|a italic(b))");
  is("[a](mailto:b@c.example)", "¶link(mailto:b@c.example|a)");
});

test("a link whose label names another place tells where it leads", () => {
  const link = (label, href, told = "") => is(`[${label}](${href})`,
    `¶link(${new URL(href).href}|${label}${told})`);
  link("https://a.example", "https://b.example", " (b.example)");
  link("log in at A.example/in", "https://a.example.b.example/", " (a.example.b.example)");
  link("10.0.0.1", "http://10.0.0.2:8080/", " (10.0.0.2:8080)");
  link("ann@a.example", "mailto:eve@b.example", " (eve@b.example)");
  link("a。example", "https://b.example", " (b.example)");
  link("a.example/b.html", "https://www.a.example:8443/c");
  link("ann@a.example", "mailto:ann@a.example");
  // What looks like a dot, what is not seen, and marks within the name.
  for (const label of ["a\u2024example", "a\uff0eexample"]) {
    link(label, "https://b.example", " (b.example)");
  }
  is("[a\u200d.example](https://b.example)",
    "¶link(https://b.example/|a\u200d.example (b.example))");
  is("[a.**example**](https://b.example)",
    "¶link(https://b.example/|a.bold(example) (b.example))");
  link("version 1.2, see e.g. here...", "https://b.example");
  // What looks like it is another name.
  is("https://\u0430pple.com/", "¶link(https://xn--pple-43d.com/|https://\u0430pple.com/ " +
    "(xn--pple-43d.com))");
  is("[a.exam\u200bple](https://b.example)", "¶link(https://b.example/|a.example (b.example))");
});

test("no link hides where it leads", () => {
  for (const url of ["https://a.example@b.example/", "https://a.example:b@c.example/"]) {
    assert.equal(safeUrl(url), null);
    is(`see ${url} and`, `¶see ${url} and`);
  }
  is("https://b.example/\u202egpj.exe",
    "¶link(https://b.example/%E2%80%AEgpj.exe|https://b.example/%E2%80%AEgpj.exe)");
  is("[\u202ea\u2066b](https://b.example)", "¶link(https://b.example/|ab)");
});

test("no link leads to a program", () => {
  for (const bad of ["javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,a", "vbscript:a",
    "file:///etc/passwd", "java\tscript:alert(1)", "//a.example", "a", ""]) {
    assert.equal(safeUrl(bad), null, bad);
    is(`[a](${bad})`, `¶[a](${bad})`);
  }
});

test("markup is text", () => {
  is("<b>a</b><script>alert(1)</script>", "¶<b>a</b><script>alert(1)</script>");
  is("&lt;", "¶&lt;");
});

/** Everything that was written is there, in its order, but for the marks. */
test("nothing is lost, whatever is written", () => {
  const pieces = ["*", "**", "_", "`", "```", "\n", "> ", "- ", "1. ", "[", "](", ")", "a", " b ",
    "https://a.example/", "\\", "é", "<i>"];
  let seed = 7;
  const next = (below) => {
    seed = (seed * 1103515245 + 12345) % 2 ** 31;
    return Math.floor(seed / 2 ** 31 * below);
  };
  const letters = (text) => text.replace(/[^abé<i>]/g, "").replace(/>/g, "");
  for (let run = 0; run < 3000; run += 1) {
    const text = Array.from({length: next(14)}, () => pieces[next(pieces.length)]).join("");
    const flat = (nodes) => nodes.map((node) => {
      const bare = node.type === "link" && URL.canParse(node.children[0]?.text ?? "") &&
        new URL(node.children[0].text).href === node.href;
      if (bare) return node.children[0].text;
      const nested = node.children ?? node.items?.flat() ?? [];
      const hidden = node.type === "link" ? node.href : "";
      return (node.text ?? "") + (node.language ?? "") + flat(nested) + hidden;
    }).join("");
    assert.equal(letters(flat(parse(text))), letters(text), JSON.stringify(text));
  }
});

test("nobody fills the page with one message", () => {
  const count = (nodes) => nodes.reduce((sum, node) => {
    const nested = node.children ?? node.items?.flat() ?? [];
    return sum + 1 + (node.items?.length ?? 0) + count(nested);
  }, 0);
  const pieces = ["`a`", "*a* ", "a\n", "- a\n", "1. *a*\n", "> a\n\n", "a\n\n", "> - `a`\n",
    "https://a.example ", "\\*", "```\na\n```\n"];
  for (const piece of pieces) {
    const nodes = parse(piece.repeat(Math.ceil(16_384 / piece.length)));
    assert.ok(count(nodes) <= 2000, `${piece}: ${count(nodes)}`);
  }
});

/** How many letters are looked at while a text is parsed, by what looks at more than one. */
function steps(text) {
  let count = 0;
  const restored = [];
  const counting = (prototype, name, cost) => {
    const own = prototype[name];
    prototype[name] = function counted(...given) {
      const answer = Reflect.apply(own, this, given);
      count += cost(this, answer, given);
      return answer;
    };
    restored.push(() => { prototype[name] = own; });
  };
  counting(String.prototype, "indexOf", (whole, found, [, from = 0]) =>
    (found < 0 ? Math.max(whole.length - from, 0) : found - from) + 1);
  counting(String.prototype, "includes", (whole) => whole.length);
  for (const name of ["slice", "trim"]) {
    counting(String.prototype, name, (_, part) => part.length + 1);
  }
  // One that is bound to a place looks at no more than it finds.
  counting(RegExp.prototype, "exec", (pattern, match, [whole]) =>
    (pattern.sticky ? match?.[0].length ?? 1 : whole.length));
  counting(Array.prototype, "slice", (_, part) => part.length + 1);
  try {
    parse(text);
  } finally {
    for (const restore of restored) restore();
  }
  return count;
}

test("twice the text takes twice the time, whatever it consists of", () => {
  const pieces = ["*", "**a", "_a ", "*a ", "`", "``a`", "[", "[a](", "[a](http://a) ", "> ", ">",
    "- a\n", "```\n", "http://[", "https://a.example/((((", "\\", "**a *b ", "\n", "a_b*c`d",
    "~~a ", "\\[", "[a.b", "a.", "\\_a", "`a\n\n"];
  const texts = pieces.map((piece) => (length) => piece.repeat(Math.ceil(length / piece.length)));
  // Once each bracket had all that is between itself and the end for its label.
  texts.push((length) => `${"[".repeat(length)}](x)`, (length) => `${"a[".repeat(length / 2)}](x)`);
  for (const text of texts) {
    const [piece, of] = [text(8), (length) => steps(text(length))];
    // From there on, no more nodes are made: what is left to take time is looking.
    const [once, twice] = [of(16_384), of(32_768)];
    assert.ok(twice < 2.5 * once + 1000, `${piece}: ${once}, then ${twice}`);
    assert.ok(once < 60 * 16_384, `${piece}: ${once}`);
  }
});
