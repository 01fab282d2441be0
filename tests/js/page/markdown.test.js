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
  is("\\*a\\*", "¶*a*");
  is("__init__.py", "¶__init__.py".replace("__init__", "bold(init)"));
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
  is("[https://a.example](https://b.example)",
    "¶link(https://b.example/|https://a.example)");
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

test("the longest message takes no time, whatever it consists of", () => {
  const pieces = ["*", "**a", "_a ", "*a ", "`", "``a`", "[", "[a](", "[a](http://a) ", "> ", ">",
    "- a\n", "```\n", "http://[", "https://a.example/((((", "\\", "**a *b ", "\n", "a_b*c`d"];
  for (const piece of pieces) {
    const text = piece.repeat(Math.ceil(16_384 / piece.length));
    const began = performance.now();
    parse(text);
    // Proportional time is some milliseconds; what grows with the square takes seconds.
    assert.ok(performance.now() - began < 2000, piece);
  }
});
