/* Copyright 2026 The nasfpn_tf Authors. Licensed under the Apache License, Version 2.0; see LICENSE.
 *
 * Runs a .tflite of export_tflite.py with MediaPipe's ObjectDetector on an image or on the camera.
 *
 * With ?model=URL&image=URL the page begins by itself; &report=URL posts what it found there as JSON.
 */
import { FilesetResolver, ObjectDetector } from './node_modules/@mediapipe/tasks-vision/vision_bundle.mjs';

const element = (id) => document.getElementById(id);
const canvas = element('canvas');
const context = canvas.getContext('2d');
let detector = null;
let mode = 'IMAGE';
let image = null; // The image on display, null with the camera.
let stream = null;

const threshold = () => Number(element('threshold').value);
const say = (text) => { element('status').textContent = text; };

async function load(bytes) {
  stopCamera();
  detector?.close();
  detector = null;
  mode = 'IMAGE';
  const files = await FilesetResolver.forVisionTasks('./node_modules/@mediapipe/tasks-vision/wasm');
  detector = await ObjectDetector.createFromOptions(files, {
    baseOptions: { modelAssetBuffer: new Uint8Array(bytes), delegate: 'CPU' },
    runningMode: mode,
    scoreThreshold: threshold(),
    maxResults: 100,
  });
  element('camera').disabled = false;
  say('Choose an image or the camera.');
}

async function use(running) {
  if (mode !== running) {
    mode = running;
    await detector.setOptions({ runningMode: mode });
  }
}

function draw(source, width, height, detections) {
  canvas.width = width;
  canvas.height = height;
  context.drawImage(source, 0, 0, width, height);
  const size = Math.max(12, Math.round(Math.min(width, height) / 28));
  context.font = `${size}px system-ui, sans-serif`;
  context.lineWidth = Math.max(1, Math.round(size / 8));
  context.textBaseline = 'bottom';
  for (const { boundingBox: box, categories: [category] } of detections) {
    const hue = [...category.categoryName].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 360, 0);
    context.strokeStyle = context.fillStyle = `hsl(${hue} 80% 40%)`;
    context.strokeRect(box.originX, box.originY, box.width, box.height);
    context.fillText(`${category.categoryName} ${category.score.toFixed(2)}`, box.originX, Math.max(size, box.originY));
  }
}

async function detectImage() {
  if (!detector || !image) return [];
  await use('IMAGE');
  const begin = performance.now();
  const { detections } = detector.detect(image);
  draw(image, image.width, image.height, detections);
  say(`${detections.length} objects in ${(performance.now() - begin).toFixed(0)} ms.`);
  return detections;
}

async function show(blob) {
  stopCamera();
  // Turned as its EXIF data say, with the colours of the file.
  image = await createImageBitmap(blob, { imageOrientation: 'from-image', colorSpaceConversion: 'none' });
  return detectImage();
}

function stopCamera() {
  stream?.getTracks().forEach((track) => track.stop());
  stream = null;
  element('camera').textContent = 'Camera';
}

async function startCamera() {
  image = null;
  stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment' } });
  element('camera').textContent = 'Stop';
  const video = document.createElement('video');
  video.srcObject = stream;
  video.playsInline = true;
  await video.play();
  await use('VIDEO');
  const next = () => {
    if (!stream) return; // It was stopped.
    const begin = performance.now();
    const { detections } = detector.detectForVideo(video, begin);
    draw(video, video.videoWidth, video.videoHeight, detections);
    say(`${detections.length} objects, ${(performance.now() - begin).toFixed(0)} ms a frame.`);
    requestAnimationFrame(() => attempt(async () => next()));
  };
  next();
}

async function attempt(action) {
  try {
    return await action();
  } catch (error) {
    say(`It failed: ${error.message ?? error}`);
    throw error;
  }
}

const fetched = async (url) => {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: ${response.status}`);
  return response;
};

async function begin(query) {
  if (query.has('threshold')) element('threshold').value = query.get('threshold');
  await load(await (await fetched(query.get('model'))).arrayBuffer());
  return query.has('image') ? show(await (await fetched(query.get('image'))).blob()) : [];
}

element('model').onchange = ({ target }) =>
  attempt(async () => { await load(await target.files[0].arrayBuffer()); await detectImage(); });
element('image').onchange = ({ target }) => attempt(() => show(target.files[0]));
element('camera').onclick = () => attempt(async () => (stream ? stopCamera() : startCamera()));
element('threshold').onchange = () =>
  attempt(async () => {
    await detector?.setOptions({ scoreThreshold: threshold() });
    await detectImage();
  });

const query = new URLSearchParams(location.search);
if (query.has('model')) {
  let report;
  try {
    report = { detections: await attempt(() => begin(query)) };
  } catch (error) {
    report = { error: String(error.message ?? error) };
  }
  if (query.has('report')) {
    await fetch(query.get('report'), { method: 'POST', body: JSON.stringify(report) });
  }
}
