"""The interactive view of a point cloud: plain WebGL, no library, no network.

The script looks for every ``<figure class="cloud">``, whose ``<script type="application/json">`` holds

    {count, size: [x, y, z] metres, xyz: base64 of uint16 (N, 3) in 1/65535 of the largest size,
     layers: [{name, rgb: base64 of uint8 (N, 3), legend: [[text, '#rrggbb'], ...]}, ...]}
"""

CSS = """
.cloud{margin:0}.cloud canvas{width:100%;height:min(70vh,720px);display:block;border-radius:8px;background:#fff;
border:1px solid var(--line);touch-action:none;cursor:grab}.cloud .bar{display:flex;gap:8px;flex-wrap:wrap;
align-items:center;margin:8px 0}
.cloud button{font:inherit;font-size:14px;border:1px solid var(--line);border-radius:6px;
background:var(--bg);color:var(--ink);padding:4px 12px;cursor:pointer}.cloud button[aria-pressed=true]{
background:var(--accent);color:#fff;border-color:var(--accent)}.cloud input{width:110px}
"""

SCRIPT = r"""
document.querySelectorAll('figure.cloud').forEach(function(box){
'use strict';
var data=JSON.parse(box.querySelector('script').textContent),canvas=box.querySelector('canvas');
var bar=box.querySelector('.bar'),legend=box.querySelector('.legend');
var gl=canvas.getContext('webgl',{antialias:false,preserveDrawingBuffer:true});
if(!gl){box.querySelector('.note').textContent='This browser gives no WebGL; the pictures below show the same.';return}
function bytes(text){var raw=atob(text),out=new Uint8Array(raw.length);
for(var i=0;i<raw.length;i++)out[i]=raw.charCodeAt(i);return out}
function shader(kind,text){var s=gl.createShader(kind);gl.shaderSource(s,text);gl.compileShader(s);
if(!gl.getShaderParameter(s,gl.COMPILE_STATUS))throw new Error(gl.getShaderInfoLog(s));return s}
var program=gl.createProgram();
gl.attachShader(program,shader(gl.VERTEX_SHADER,
'attribute vec3 p;attribute vec3 c;uniform mat3 turn;uniform vec3 centre;uniform vec2 scale;uniform vec2 shift;'+
'uniform float size;varying vec3 colour;'+
'void main(){vec3 q=turn*(p-centre);gl_Position=vec4(q.xy*scale+shift,-q.z*0.5,1.0);gl_PointSize=size;colour=c;}'));
gl.attachShader(program,shader(gl.FRAGMENT_SHADER,
'precision mediump float;varying vec3 colour;void main(){vec2 d=gl_PointCoord-0.5;'+
'if(dot(d,d)>0.25)discard;gl_FragColor=vec4(colour*(1.0-0.45*dot(d,d)*2.0),1.0);}'));
gl.linkProgram(program);gl.useProgram(program);gl.enable(gl.DEPTH_TEST);
function fill(name,values,type,normal){var buffer=gl.createBuffer(),place=gl.getAttribLocation(program,name);
gl.bindBuffer(gl.ARRAY_BUFFER,buffer);gl.bufferData(gl.ARRAY_BUFFER,values,gl.STATIC_DRAW);
gl.enableVertexAttribArray(place);gl.vertexAttribPointer(place,3,type,normal,0,0);return buffer}
var spot=function(name){return gl.getUniformLocation(program,name)};
fill('p',new Uint16Array(bytes(data.xyz).buffer),gl.UNSIGNED_SHORT,true);
var most=Math.max.apply(null,data.size);
gl.uniform3f(spot('centre'),data.size[0]/most/2,data.size[1]/most/2,data.size[2]/most/2);
var view={azimuth:200,elevation:40,zoom:1.3,x:0,y:0,size:2},colours=null;
function draw(){
var ratio=window.devicePixelRatio||1,w=Math.round(canvas.clientWidth*ratio),h=Math.round(canvas.clientHeight*ratio);
if(canvas.width!==w||canvas.height!==h){canvas.width=w;canvas.height=h}
gl.viewport(0,0,w,h);gl.clearColor(1,1,1,1);gl.clear(gl.COLOR_BUFFER_BIT|gl.DEPTH_BUFFER_BIT);
var a=view.azimuth*Math.PI/180,e=view.elevation*Math.PI/180,sa=Math.sin(a),ca=Math.cos(a),se=Math.sin(e),ce=Math.cos(e);
gl.uniformMatrix3fv(spot('turn'),false,[-ca,-sa*se,sa*ce,sa,-ca*se,ca*ce,0,ce,se]);
var side=Math.min(w,h);gl.uniform2f(spot('scale'),2*view.zoom*side/w/1.5,2*view.zoom*side/h/1.5);
gl.uniform2f(spot('shift'),view.x,view.y);gl.uniform1f(spot('size'),view.size*ratio*Math.max(1,Math.sqrt(view.zoom)));
gl.drawArrays(gl.POINTS,0,data.count)}
function show(number){var layer=data.layers[number];if(colours)gl.deleteBuffer(colours);
colours=fill('c',bytes(layer.rgb),gl.UNSIGNED_BYTE,true);
bar.querySelectorAll('button').forEach(function(b,i){b.setAttribute('aria-pressed',i===number)});
legend.textContent='';layer.legend.forEach(function(entry){var s=document.createElement('span');
var sw=document.createElement('i');sw.className='sw';sw.style.background=entry[1];s.appendChild(sw);
s.appendChild(document.createTextNode(entry[0]));legend.appendChild(s)});draw()}
data.layers.forEach(function(layer,number){var b=document.createElement('button');b.type='button';
b.textContent=layer.name;b.onclick=function(){show(number)};bar.appendChild(b)});
var slider=document.createElement('input');slider.type='range';slider.min=1;slider.max=8;slider.step=0.5;
slider.value=view.size;slider.title='size of the points';slider.setAttribute('aria-label','size of the points');
slider.oninput=function(){view.size=+slider.value;draw()};bar.appendChild(slider);
var held=null;
canvas.addEventListener('pointerdown',function(ev){held={x:ev.clientX,y:ev.clientY,move:ev.shiftKey||ev.button===2};
canvas.setPointerCapture(ev.pointerId)});
canvas.addEventListener('pointermove',function(ev){if(!held)return;var dx=ev.clientX-held.x,dy=ev.clientY-held.y;
held.x=ev.clientX;held.y=ev.clientY;
if(held.move){view.x+=2*dx/canvas.clientWidth;view.y-=2*dy/canvas.clientHeight}
else{view.azimuth+=dx*0.4;view.elevation=Math.max(-90,Math.min(90,view.elevation+dy*0.4))}draw()});
canvas.addEventListener('pointerup',function(){held=null});
canvas.addEventListener('contextmenu',function(ev){ev.preventDefault()});
canvas.addEventListener('wheel',function(ev){ev.preventDefault();
var factor=Math.exp(-ev.deltaY*0.0012),zoom=Math.max(0.3,Math.min(200,view.zoom*factor));
view.x*=zoom/view.zoom;view.y*=zoom/view.zoom;view.zoom=zoom;draw()},{passive:false});
canvas.addEventListener('dblclick',function(){view.azimuth=200;view.elevation=40;view.zoom=1.3;view.x=view.y=0;draw()});
window.addEventListener('resize',draw);show(data.layers.length>1?1:0)});
"""
