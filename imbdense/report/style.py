"""Look and behaviour of the pages: colours for both themes, print rules, tabs."""

CSS = """
:root{--bg:#f7f8fa;--card:#fff;--ink:#1b2430;--soft:#5c6b7c;--line:#dfe4ea;--accent:#0b6bcb;--good:#127a46;
--bad:#b3261e;
--s0:#7b8794;--s1:#e8590c;--s2:#1c7ed6;--s3:#2f9e44;--s4:#ae3ec9;--s5:#f08c00;--s6:#0c8599;--s7:#c2255c;
--heat:11,107,203}
@media(prefers-color-scheme:dark){:root{--bg:#12161c;--card:#1a2029;--ink:#e6ebf1;--soft:#9aa8b8;--line:#2e3743;
--accent:#6cb2ff;--good:#5fd39a;--bad:#ff8a80;--s0:#9aa8b8;--s1:#ff8c4b;--s2:#5aa9f5;--s3:#62c976;--s4:#d47be8;
--s5:#ffb347;--s6:#42b8cc;--s7:#f06595;--heat:90,169,245}}
*{box-sizing:border-box}html{scroll-behavior:smooth;scroll-padding-top:56px}
body{margin:0;background:var(--bg);color:var(--ink);

font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
nav{position:sticky;top:0;z-index:5;display:flex;gap:18px;flex-wrap:wrap;padding:10px 28px;background:var(--card);
border-bottom:1px solid var(--line);font-size:14px}nav a{color:var(--soft);text-decoration:none}
nav a:hover{color:var(--accent)}
main{max-width:1240px;margin:0 auto;padding:8px 28px 60px}h1{font-size:30px;line-height:1.2;margin:26px 0 4px}
.sub{color:var(--soft);margin:0 0 10px}section{background:var(--card);border:1px solid var(--line);border-radius:10px;
padding:6px 24px 22px;margin:20px 0}h2{font-size:20px;margin:16px 0 8px}h3{font-size:16px;margin:18px 0 6px}
h4{font-size:15px;margin:16px 0 6px}
p{max-width:78ch}
a{color:var(--accent)}
.lead{font-size:18px}.note{color:var(--soft);font-size:13.5px}.warn{border-left:4px solid var(--s5);
padding-left:10px}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(230px,1fr));gap:14px;margin:16px 0}
.card{border:1px solid var(--line);border-radius:8px;padding:12px 14px}.card .name{font-weight:600}
.card .big{font-size:27px;font-weight:650;line-height:1.25;letter-spacing:-.5px}.card .big small{font-size:15px;
color:var(--soft);font-weight:400}
.card .share{color:var(--soft);font-size:13px}.up{color:var(--good)}.down{color:var(--bad)}
.meter{position:relative;height:8px;border-radius:4px;background:var(--line);margin-top:8px;overflow:hidden}
.meter i{position:absolute;left:0;top:0;bottom:0;border-radius:4px}
table{border-collapse:collapse;font-size:14px;font-variant-numeric:tabular-nums}th,td{padding:5px 9px;
text-align:right;
border-bottom:1px solid var(--line);white-space:nowrap}th{color:var(--soft);font-weight:600}
th:first-child,td:first-child{text-align:left}
tr.rare td:first-child{font-weight:600}td.best{font-weight:700}.scroll{overflow-x:auto;margin:10px 0}
.conf td,.conf th{padding:3px 6px;text-align:center;border:1px solid var(--bg);font-size:12px}
.conf th{max-width:110px;overflow:hidden;text-overflow:ellipsis}
.conf td:first-child,.conf th:first-child{text-align:right}.conf .d{outline:1.5px solid var(--soft);
outline-offset:-2px}
.conf.many td{width:12px;min-width:12px;height:12px;padding:0;font-size:0}
.conf.many thead th{writing-mode:vertical-rl;transform:rotate(180deg);font-weight:400}
.sw,.dot{display:inline-block;width:11px;height:11px;border-radius:3px;margin-right:7px;vertical-align:-1px;
border:1px solid rgba(128,128,128,.5)}
.dot{border-radius:50%;border:0}.legend{margin:4px 0;font-size:13.5px}.legend span{margin-right:18px;
white-space:nowrap}
.s0{background:var(--s0)}.s1{background:var(--s1)}.s2{background:var(--s2)}.s3{background:var(--s3)}
.s4{background:var(--s4)}
.s5{background:var(--s5)}.s6{background:var(--s6)}.s7{background:var(--s7)}
.flow{display:flex;flex-wrap:wrap;gap:10px 40px;align-items:flex-start}.flow>*{flex:0 1 auto;min-width:0}
.delta{font-size:15px}.conf td{min-width:46px}
.chart,.panel{width:100%;height:auto;display:block}.panels{display:grid;
grid-template-columns:repeat(auto-fill,minmax(238px,1fr));gap:12px 18px}
svg text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
.t{fill:var(--ink)}.tr{fill:var(--ink);font-weight:700!important}.a,.v{fill:var(--soft);font-size:11px!important}
.g{stroke:var(--line)}.span{stroke:var(--line);stroke-width:5}.err{stroke:var(--ink);stroke-width:1.4;opacity:.75}
.frame{fill:none;stroke:var(--line)}.bar{fill:var(--s0)}.rarebar{fill:var(--s1)}.swatch{stroke:rgba(128,128,128,.5)}
.f0{fill:var(--s0)}.f1{fill:var(--s1)}.f2{fill:var(--s2)}.f3{fill:var(--s3)}.f4{fill:var(--s4)}.f5{fill:var(--s5)}
.f6{fill:var(--s6)}.f7{fill:var(--s7)}
.k0{stroke:var(--s0)}.k1{stroke:var(--s1)}.k2{stroke:var(--s2)}.k3{stroke:var(--s3)}.k4{stroke:var(--s4)}
.k5{stroke:var(--s5)}.k6{stroke:var(--s6)}.k7{stroke:var(--s7)}
.line{fill:none;stroke-width:2;stroke-linejoin:round}.whisker{stroke-width:2;opacity:.55}
.triples{display:grid;gap:14px}.triple{display:grid;grid-template-columns:repeat(3,minmax(0,1fr));gap:6px;margin:0}
.triple.four{grid-template-columns:repeat(4,minmax(0,1fr))}
.triple figure,.shots figure{margin:0}.triple figcaption,.shots figcaption{font-size:12px;color:var(--soft)}
.triple img,.shots img{width:100%;display:block;border-radius:4px;background:#888}.triple .cap{grid-column:1/-1;
font-size:13px;color:var(--soft)}
.shots{display:grid;grid-template-columns:repeat(auto-fill,minmax(240px,1fr));gap:14px}
.shots figcaption{overflow-wrap:anywhere}
.shots .thumb{width:auto;margin:4px 0}
.thumb{height:84px;margin-right:4px;border-radius:4px;vertical-align:middle}
.tabbar{display:flex;gap:6px;flex-wrap:wrap;margin:8px 0;border-bottom:1px solid var(--line)}
.tabbar button{font:inherit;font-size:14px;
border:0;background:none;color:var(--soft);padding:6px 10px;cursor:pointer;border-bottom:3px solid transparent}
.tabbar button[aria-selected=true]{color:var(--ink);border-color:var(--accent);font-weight:600}.js .pane{display:none}
.js .pane.on{display:block}
.js .pane h3{display:none}details{margin:8px 0}summary{cursor:pointer;color:var(--accent)}
pre{overflow:auto;max-height:420px;background:var(--bg);border:1px solid var(--line);border-radius:6px;padding:10px;
font-size:12.5px}
@media(max-width:640px){main,nav{padding-left:14px;padding-right:14px}section{padding:4px 14px 16px}}
@media print{nav,.tabbar{display:none}.js .pane,.js .pane h3{display:block}section{break-inside:auto;border:0;
padding:0}body{background:#fff}
svg,.card,.triple,tr{break-inside:avoid}h2,h3,h4,.legend{break-after:avoid}.scroll{overflow:visible}
table{font-size:11px}th,td{padding:3px 5px}main{max-width:none;padding:0}}
"""

SCRIPT = """
document.querySelectorAll('.tabs').forEach(function(box){
var panes=[].slice.call(box.children),bar=document.createElement('div');bar.className='tabbar';
bar.setAttribute('role','tablist');
function show(n){panes.forEach(function(p,i){p.classList.toggle('on',i===n);
bar.children[i].setAttribute('aria-selected',i===n)})}
panes.forEach(function(p,i){var b=document.createElement('button');b.type='button';b.setAttribute('role','tab');
b.textContent=p.dataset.name;b.onclick=function(){show(i)};bar.appendChild(b)});
box.insertBefore(bar,box.firstChild);box.classList.add('js');show(0)});
"""
