// What the page asks for, in its markup or by calls.
var main, marked = [], seen = new WeakMap();

// ``what`` is a video element, or a player of video.js.
function watch(what, options) {
  var player = what && what.el && what.on ? what : undefined;
  var video = player ? player.el() && player.el().querySelector("video,audio") : what;
  if (!video || !video.addEventListener) throw new Error("FediviewsVideo.watch: no video element there");
  if (!options || !options.id) throw new Error("FediviewsVideo.watch: of which video? Say {id: ...}");
  var known = video.fediviews;
  options = Object.assign({ player: player, instead: !!known }, options);
  if (known && known.id == options.id) {
    known.adopt(options);
    return known;
  }
  if (known) known.stop();
  var made = video.fediviews = new Watch(video, options);
  if (player) player.one("dispose", made.stop);
  return made;
}

function found() {
  watches.slice().forEach(function (one) {
    one.look();
  });
  var token = data.viewerToken;
  if (data.video && !(main && main.isConnected)) {
    main = d.querySelector(data.selector || "video:not([data-fediviews])");
    if (main && !main.fediviews) watch(main, { id: data.video, token: token });
  }
  d.querySelectorAll("video[data-fediviews]").forEach(function (video) {
    var id = video.dataset.fediviews, known = video.fediviews;
    // A page that says something else by a call knows better; a changed attribute is another video.
    if (!id || seen.get(video) == id || (known && !known.marked)) return;
    seen.set(video, id);
    watch(video, { id: id, token: token }).marked = true;
  });
  marked = marked.filter(function (element) {
    var kept = element.isConnected && countedBy(element) == element.fediviews.id;
    if (!kept) {
      element.fediviews.stop();
      delete element.fediviews;
    }
    return kept;
  });
  d.querySelectorAll(data.count ? "[data-fediviews-count]," + data.count : "[data-fediviews-count]").forEach(function (element) {
    var id = countedBy(element);
    if (element.fediviews || !id) return;
    element.fediviews = { id: id, stop: count(element, id, token) };
    marked.push(element);
  });
}

function countedBy(element) {
  return element.dataset.fediviewsCount || data.video;
}

w.FediviewsVideo = { watch: watch, count: count };
found();
// Players put their element in when it suits them.
new MutationObserver(found).observe(d.documentElement, {
  childList: true,
  subtree: true,
  attributes: true,
  attributeFilter: ["data-fediviews", "data-fediviews-count"]
});
