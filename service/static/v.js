// Tells who watches a video on any page, as PeerTube's player does, and shows how many do. See docs/pages.md.
// Lines like this one and indentation are taken out when it is served: no line may depend on its beginning.
(function (w, d, n) {
  "use strict";
  var SEEK_FORWARD_S = 3;
  var script = d.currentScript || d.querySelector("script[src*='/v.js']");
  var data = script.dataset;
  var base = new URL(data.endpoint || script.src).origin + "/api/v1/";
  // Whoever does not want to be followed is a viewer like any other, but says nothing of the program.
  var quiet = n.globalPrivacyControl || (n.doNotTrack || w.doNotTrack) == 1;
  var session = data.session || newSession();
  var config;

  function newSession() {
    var letters = "abcdefghijklmnopqrstuvwxyz0123456789", id = "";
    crypto.getRandomValues(new Uint8Array(32)).forEach(function (byte) {
      id += letters[byte % 36];
    });
    return id;
  }

  // How often to report; asked once.
  function settings() {
    if (!config) {
      config = fetch(base + "config", { credentials: "omit" }).then(function (answer) {
        return answer.json();
      }).catch(function () {
        return {};
      });
    }
    return config;
  }

  function post(path, body, last) {
    var text = JSON.stringify(body);
    // As text nobody has to be asked beforehand.
    if (last) return n.sendBeacon(base + path, text);
    return fetch(base + path, { method: "POST", body: text, keepalive: true, credentials: "omit" }).catch(function () {});
  }

  function program() {
    var agent = n.userAgent;
    function first(pairs) {
      var found = pairs.filter(function (pair) {
        return pair[0].test(agent);
      })[0];
      return found && found[1];
    }
    return {
      client: first([[/Firefox|FxiOS/, "Firefox"], [/Edg/, "Edge"], [/OPR/, "Opera"], [/Chrome|CriOS/, "Chrome"], [/Safari/, "Safari"]]),
      operatingSystem: first([[/Windows/, "Windows"], [/Android/, "Android"], [/iPhone|iPad/, "iOS"], [/Mac OS X/, "macOS"], [/Linux/, "Linux"]]),
      device: /Mobi|Android|iPhone/.test(agent) ? "mobile" : "desktop"
    };
  }

  // One video element and the video that it plays.
  function Watch(video, options) {
    var id = options.id, path = "videos/" + encodeURIComponent(id) + "/views";
    var traits = quiet ? {} : program();
    var reporting, sampling, said, seek, before = 0, from, over, gone;
    var stalls = 0, stalled = 0, stalledAt, errors = 0, changes = 0, height = 0, bytes = 0, asked, startup;
    var frames = { total: 0, dropped: 0, at: Date.now() };

    function now() {
      return Math.floor(video.currentTime);
    }

    function report(event, last) {
      var body = Object.assign({ currentTime: now(), sessionId: session, viewerToken: options.token }, traits);
      if (event || seek) body.viewEvent = event || "seek";
      seek = 0;
      said = body.currentTime;
      gone = event == "leave";
      post(path, body, last);
    }

    function tick() {
      if (!over && now() !== said) report();
    }

    function begin() {
      if (over) return;
      asked = asked || Date.now();
      if (reporting === undefined) {
        reporting = 0;
        report();
        settings().then(function (found) {
          var interval = ((found.views || {}).videos || {}).watchingInterval || { anonymous: 5e3 };
          if (interval.anonymous && !over) reporting = setInterval(tick, interval.anonymous);
          else if (interval.anonymous === null) over = 1;
          var metrics = (found.openTelemetry || {}).metrics || {};
          if (!quiet && metrics.enabled !== false) sampling = setInterval(sample, metrics.playbackStatsInterval || 15e3);
        });
      } else if (gone) {
        report();
      }
    }

    // A jump back, or forward by three seconds and more; a player that catches up jumps less.
    function leaving() {
      if (from === undefined) from = before;
    }

    function moved() {
      var to = video.currentTime;
      if (from !== undefined) before = from;
      from = undefined;
      if (video.loop && said !== undefined && before > to && to < 1 && before > video.duration - 2) return end();
      if (to < before || to - before >= SEEK_FORWARD_S) seek = 1;
      before = to;
    }

    function played() {
      // A browser says the new time once before it says that the seek is over.
      if (!video.seeking && from === undefined) {
        // A loop begins anew without a word of seeking in some browsers.
        if (video.loop && before > video.currentTime + 1) moved();
        before = video.currentTime;
      }
    }

    // Played to the end: after the first time round nothing is said any more.
    function end() {
      if (over) return;
      if (!isFinite(video.duration)) return tick();
      var body = { currentTime: Math.floor(video.duration), viewEvent: "ended", sessionId: session, viewerToken: options.token };
      post(path, Object.assign(body, traits));
      said = body.currentTime;
      if (video.loop) stop();
    }

    function stop() {
      over = 1;
      clearInterval(reporting);
      clearInterval(sampling);
    }

    function leave() {
      if (reporting !== undefined && !over && !gone) report("leave", 1);
      if (sampling) sample();
    }

    function sample() {
      if (video.paused && !stalls && !errors) return;
      if (stalledAt) {
        stalled += Date.now() - stalledAt;
        stalledAt = Date.now();
      }
      var quality = video.getVideoPlaybackQuality ? video.getVideoPlaybackQuality() : { totalVideoFrames: 0, droppedVideoFrames: 0 };
      var shown = Math.max(0, quality.totalVideoFrames - frames.total), dropped = Math.max(0, quality.droppedVideoFrames - frames.dropped);
      var passed = Math.min(Math.max(Date.now() - frames.at, 1), 3e5);
      // As PeerTube's player, for sums over all viewers.
      ask("metrics/playback", {
        videoId: id,
        playerMode: options.hls ? "p2p-media-loader" : "web-video",
        resolution: video.videoHeight || 0,
        fps: Math.round(1e3 * shown / passed),
        p2pEnabled: false,
        resolutionChanges: changes,
        errors: errors,
        bufferStalled: stalls,
        downloadedBytesHTTP: bytes,
        downloadedBytesP2P: 0,
        uploadedBytesP2P: 0
      });
      // And how it plays for this viewer.
      ask("videos/" + encodeURIComponent(id) + "/playback", {
        sessionId: session,
        viewerToken: options.token,
        duration: passed,
        height: video.videoHeight || 0,
        stalls: stalls,
        stalledTime: Math.min(stalled, passed),
        switches: changes,
        startupTime: startup,
        frames: shown,
        droppedFrames: Math.min(dropped, shown),
        errors: errors,
        bytes: bytes || undefined,
        latency: options.hls && options.hls.latency ? Math.round(1e3 * options.hls.latency) : undefined
      });
      frames = { total: quality.totalVideoFrames, dropped: quality.droppedVideoFrames, at: Date.now() };
      changes = errors = stalls = stalled = bytes = 0;
      startup = undefined;
    }

    function ask(path, body) {
      post(path, body).then(function (answer) {
        // A service that takes no samples, or does not know the video, is not asked again.
        if (answer && answer.status >= 400 && answer.status < 429) sampling = clearInterval(sampling);
      });
    }

    function waiting() {
      // The first moments are no stall, and a seek is no fault of the network.
      if (reporting === undefined || video.seeking || !video.currentTime || stalledAt) return;
      stalls++;
      stalledAt = Date.now();
    }

    function flowing() {
      if (asked > 0) startup = Date.now() - asked;
      asked = -1;
      if (stalledAt) stalled += Date.now() - stalledAt;
      stalledAt = 0;
    }

    function resized() {
      if (height && height !== video.videoHeight) changes++;
      height = video.videoHeight;
    }

    function failed() {
      errors++;
    }

    var listening = [["play", begin], ["playing", begin], ["playing", flowing], ["seeking", leaving], ["seeked", moved], ["timeupdate", played], ["ended", end], ["waiting", waiting], ["resize", resized], ["error", failed]];
    listening.forEach(function (pair) {
      video.addEventListener(pair[0], pair[1]);
    });
    addEventListener("pagehide", leave);
    if (options.hls && options.hls.on) {
      options.hls.on("hlsFragLoaded", function (_, loaded) {
        var stats = (loaded.frag || {}).stats || {};
        bytes += stats.loaded || stats.total || 0;
      });
      options.hls.on("hlsError", function (_, problem) {
        if (problem.fatal) errors++;
      });
    }
    if (!video.paused) begin();

    // For pages that change their video: the element is free afterwards.
    this.stop = function () {
      leave();
      stop();
      removeEventListener("pagehide", leave);
      listening.forEach(function (pair) {
        video.removeEventListener(pair[0], pair[1]);
      });
      delete video.fediviews;
    };
  }

  // ``what`` is a video element, or a player of video.js.
  function watch(what, options) {
    var video = what.el ? what.el().querySelector("video") : what;
    if (!video.fediviews) video.fediviews = new Watch(video, options);
    return video.fediviews;
  }

  // Keep the number of viewers in an element's text; returns what ends it.
  function count(element, id, token) {
    var url = base + "videos/" + encodeURIComponent(id) + "/viewers" + (token ? "?viewerToken=" + encodeURIComponent(token) : "");
    var source = new EventSource(url);
    source.addEventListener("views-change", function (event) {
      element.textContent = JSON.parse(event.data).viewers;
    });
    return function () {
      source.close();
    };
  }

  function found() {
    var one = data.video && d.querySelector(data.selector || "video");
    if (one) watch(one, { id: data.video, token: data.viewerToken });
    d.querySelectorAll("video[data-fediviews]").forEach(function (video) {
      watch(video, { id: video.dataset.fediviews, token: data.viewerToken });
    });
    d.querySelectorAll(data.count ? "[data-fediviews-count]," + data.count : "[data-fediviews-count]").forEach(function (element) {
      if (!element.fediviews) element.fediviews = count(element, element.dataset.fediviewsCount || data.video, data.viewerToken);
    });
  }

  w.FediviewsVideo = { watch: watch, count: count };
  found();
  // Players put their element in when it suits them.
  new MutationObserver(found).observe(d.documentElement, { childList: true, subtree: true });
})(window, document, navigator);
