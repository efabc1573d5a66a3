//! Style: how the page looks.

/// Light and dark by the reader's system; on paper black on white, nothing cut apart.
pub(super) const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1d2126; --dim: #5c6670; --paper: #ffffff; --card: #f6f7f8;
  --line: #d5dade; --bad: #b3261e; --unsure: #8a5a00; --fine: #1f6f43; --data: #1f5fa8; --band: #1f5fa833; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8ea; --dim: #9aa4ad; --paper: #15181b;
  --card: #1e2327; --line: #3a4147; --bad: #ff8a80; --unsure: #f0c060; --fine: #7fd6a4; --data: #7db7f5;
  --band: #7db7f540; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif; }
main { max-width: 64rem; margin: 0 auto; padding: 1.5rem 1.25rem 3rem; }
h1 { font-size: 1.45rem; line-height: 1.35; margin: .25rem 0 .75rem; font-weight: 650; text-wrap: pretty; }
h2 { font-size: 1.1rem; margin: 2.25rem 0 .5rem; padding-bottom: .25rem; border-bottom: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 0; overflow-wrap: anywhere; }
p { margin: .4rem 0; }
.where, .facts, footer, .why, .note { color: var(--dim); font-size: .92rem; }
.verdict { display: inline-block; margin: .25rem 0; padding: .1rem .6rem; border: 2px solid; border-radius: .3rem;
  font-weight: 700; font-size: .85rem; letter-spacing: .02em; text-transform: uppercase; }
.verdict.bad, .bad .tag { color: var(--bad); }
.verdict.fine, .fine .tag { color: var(--fine); }
.unsure .tag { color: var(--unsure); }
.tag { font-weight: 700; margin-right: .25em; }
li, p { overflow-wrap: anywhere; }
.wide { overflow-x: auto; } .wide svg { min-width: 40rem; }
.services { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 19rem), 1fr)); gap: .9rem; }
article { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .75rem .9rem;
  break-inside: avoid; min-width: 0; }
article.bad { border: 2px solid var(--bad); }
article p { margin: .2rem 0; }
svg { display: block; width: 100%; height: auto; margin: .4rem 0; }
svg text { fill: var(--dim); font: 12px system-ui, 'DejaVu Sans', sans-serif; }
svg.large text { font-size: 12px; }
svg .axis { stroke: var(--line); stroke-width: 1; }
svg .past { fill: none; stroke: var(--data); stroke-width: 2; stroke-linejoin: round; }
svg .area { fill: var(--band); stroke: none; }
svg .fit { fill: none; stroke: var(--bad); stroke-width: 2; stroke-dasharray: 6 4; }
svg .band { fill: var(--band); stroke: none; }
svg .cross { stroke: var(--bad); stroke-width: 1.5; }
svg .mark { stroke: var(--unsure); stroke-width: 1.5; stroke-dasharray: 2 3; }
svg text.strong { fill: var(--ink); font-weight: 600; }
pre { background: var(--card); border: 1px solid var(--line); border-radius: .4rem; padding: .6rem .8rem; margin: .5rem 0;
  overflow-x: auto; font: .87rem/1.45 ui-monospace, 'DejaVu Sans Mono', monospace; }
pre ins { color: var(--fine); text-decoration: none; font-weight: 600; }
pre del { color: var(--bad); text-decoration: none; }
code { font: .85rem ui-monospace, 'DejaVu Sans Mono', monospace; overflow-wrap: anywhere; }
ol { padding-left: 1.4rem; } li { margin: .6rem 0; }
table { border-collapse: collapse; width: 100%; }
th { text-align: left; font-size: .85rem; color: var(--dim); }
th, td { padding: .3rem .75rem .1rem 0; vertical-align: top; }
tbody tr:not(.quote) { border-top: 1px solid var(--line); }
.quote td { padding-bottom: .4rem; color: var(--dim); }
.number { text-align: right; }
footer { margin-top: 2.5rem; border-top: 1px solid var(--line); padding-top: .5rem; }
@media print {
  :root { --ink: #000; --dim: #333; --paper: #fff; --card: #fff; --line: #999; --bad: #900; --unsure: #640; --fine: #040;
    --data: #036; --band: #0363; }
  .wide svg { min-width: 0; } body { font-size: 10.5pt; } main { max-width: none; padding: 0; } h2 { break-after: avoid; }
  pre { white-space: pre-wrap; overflow-wrap: anywhere; } section > p, li, tr { break-inside: avoid; }
}
";
