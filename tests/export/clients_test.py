# Copyright 2026 The nasfpn_tf Authors.
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""Exported .tflite files in clients that are not of this project, as scripts/test_clients.sh runs them.

The clients: LiteRT's CompiledModel, TFLite Support's metadata writer, MediaPipe Tasks in Python, and MediaPipe Tasks in
a browser without a window on the page of examples/web. They get the toy detector of the tests, or the one of
NASFPN_CLIENTS_MODEL, a model_dir, with the image NASFPN_CLIENTS_IMAGE.
"""

import dataclasses
import functools
import http.server
import json
import os
import pathlib
import queue
import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest
from PIL import Image

from nasfpn_tf import predict
from nasfpn_tf.artifacts import layout
from nasfpn_tf.export import calibration, source, tflite
from tests import testing

pytestmark = pytest.mark.slow

_WEB = testing.repo_root() / 'examples' / 'web'
_THRESHOLD = 0.3
_FORMS = ('float', 'int8', 'int8_float_heads', 'post_process')


@dataclasses.dataclass(frozen=True)
class Found:
  """An object: corners xmin, ymin, xmax, ymax in pixels of the image, score, name."""

  box: tuple[float, float, float, float]
  score: float
  name: str


@dataclasses.dataclass(frozen=True)
class Subject:
  """What the clients get: files by form, and an image of exactly the size of their input."""

  files: dict[str, str]
  image: str
  by_model: list[Found]


@pytest.fixture(scope='module')
def subject(forms, tmp_path_factory) -> Subject:
  """The files of the toy or of the detector that the environment names."""
  directory = tmp_path_factory.mktemp('clients')
  model_dir = os.environ.get('NASFPN_CLIENTS_MODEL') or forms.model_dir
  file = os.environ.get('NASFPN_CLIENTS_IMAGE') or str(forms.images / '0.jpg')
  detector = source.load(model_dir)
  records = detector.params.task.validation_data.input_path
  images = calibration.load_images(records, 40)
  options = {
    'float': tflite.Options(),
    'int8': tflite.Options(quant_type='int8', input_dtype='uint8'),
    'int8_float_heads': tflite.Options(quant_type='int8_float_heads'),
    'post_process': tflite.Options(nms='post_process'),
  }
  files = {name: str(directory / f'{name}.tflite') for name in _FORMS}
  for name, path in files.items():
    tflite.export_tflite(detector, path, options[name], images)
  # Clients scale images in their own ways; here is nothing to scale.
  (inputs,) = calibration.to_inputs([predict.read_image(file)], detector.input_size, detector.keep_aspect_ratio)
  image = str(directory / 'picture.png')
  Image.fromarray(np.rint(inputs[0]).clip(0, 255).astype(np.uint8)).save(image)
  return Subject(files, image, _by_predictor(model_dir, image))


def _by_predictor(model, image):
  found = predict.load_predictor(model)(predict.read_image(image)).above(_THRESHOLD)
  boxes = found.boxes[:, [1, 0, 3, 2]].tolist()
  return [
    Found(tuple(box), float(score), name) for box, score, name in zip(boxes, found.scores, found.names, strict=True)
  ]


# MediaPipe cuts the corner and the sides of a box to whole pixels, so its far corner is less than two pixels off.
_PIXELS, _SCORES = 2.0, 0.02
# It brings its own build of LiteRT, whose integer kernels round in other places. So do LiteRT's own with and without
# XNNPACK: some steps of a logit, a step of an encoding, and another anchor of the same object may be the best.
_ROUNDED_IOU, _ROUNDED_SCORES = 0.7, 0.06


def _assert_same(subject, expected, found, is_rounded=False):
  """Each side's objects are on the other, but for those that the threshold decides about."""
  assert expected
  with Image.open(subject.image) as image:
    # What TFLite_Detection_PostProcess gives may lie beyond the image; `predict` cuts it off, clients do not.
    limits = image.size * 2
  found = [dataclasses.replace(one, box=tuple(np.clip(one.box, 0, limits))) for one in found]
  scores = _ROUNDED_SCORES if is_rounded else _SCORES

  def is_same(one, other):
    if one.name != other.name or abs(one.score - other.score) > scores:
      return False
    if is_rounded:
      return _iou(one.box, other.box) >= _ROUNDED_IOU
    return np.abs(np.subtract(one.box, other.box)).max() <= _PIXELS

  def missing(those, among):
    return [one for one in those if one.score > _THRESHOLD + scores and not any(is_same(one, other) for other in among)]

  assert not missing(expected, found)
  assert not missing(found, expected)


def _iou(a, b):
  a, b = np.asarray(a), np.asarray(b)
  shared = np.prod(np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0))
  return shared / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - shared)


def _of_mediapipe(box, category):
  """MediaPipe's box has a corner and whole sides."""
  left, top, width, height = box
  return Found((left, top, left + width, top + height), category[1], category[0])


def _by_mediapipe(mediapipe, subject, path):
  from mediapipe.tasks import python as tasks
  from mediapipe.tasks.python import vision

  base = tasks.BaseOptions(model_asset_path=path)
  options = vision.ObjectDetectorOptions(base_options=base, score_threshold=_THRESHOLD)
  with vision.ObjectDetector.create_from_options(options) as detector:
    result = detector.detect(mediapipe.Image.create_from_file(subject.image))
  return [
    _of_mediapipe(
      (one.bounding_box.origin_x, one.bounding_box.origin_y, one.bounding_box.width, one.bounding_box.height),
      (one.categories[0].category_name, one.categories[0].score),
    )
    for one in result.detections
  ]


@pytest.mark.parametrize('form', _FORMS)
def test_mediapipe_tasks_in_python(subject, form):
  mediapipe = pytest.importorskip('mediapipe', reason='mediapipe is not installed')
  found = _by_mediapipe(mediapipe, subject, subject.files[form])
  _assert_same(subject, _by_predictor(subject.files[form], subject.image), found, form.startswith('int8'))
  if form == 'float':
    _assert_same(subject, subject.by_model, found)


# TFLite Support's writer names outputs by their place; its package imports more than it needs, hence the module's path.
_WRITE_METADATA = """
import json, pathlib, sys
from tensorflow_lite_support.metadata.python import metadata
from tensorflow_lite_support.metadata.python.metadata_writers import object_detector
path, labels, output = sys.argv[1:]
content = bytearray(pathlib.Path(path).read_bytes())
writer = object_detector.MetadataWriter.create_for_inference(content, [0.0], [1.0], [labels])
pathlib.Path(output).write_bytes(writer.populate())
text = metadata.MetadataDisplayer.with_model_file(output).get_metadata_json()
print(json.dumps([entry['name'] for entry in json.loads(text)['subgraph_metadata'][0]['output_tensor_metadata']]))
"""


@pytest.mark.parametrize('form', _FORMS)
def test_the_metadata_writer_of_tflite_support(subject, form, tmp_path):
  """Who writes the metadata anew, as the task library asks for it, gets the same detections under his own names."""
  mediapipe = pytest.importorskip('mediapipe', reason='mediapipe is not installed')
  with open(layout.sidecar_path(subject.files[form]), encoding='utf-8') as file:
    names = [label['name'] for label in json.load(file)['labels']]
  (tmp_path / 'own.txt').write_text(''.join(f'my {name}\n' for name in names))
  written = str(tmp_path / 'written.tflite')
  done = subprocess.run(
    [sys.executable, '-c', _WRITE_METADATA, subject.files[form], str(tmp_path / 'own.txt'), written],
    env={**os.environ, 'PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION': 'python'},
    capture_output=True,
    text=True,
    check=False,
  )
  if 'ImportError' in done.stderr or 'ModuleNotFoundError' in done.stderr:
    pytest.skip(f'tflite-support cannot be imported: {done.stderr.splitlines()[-1]}')
  assert done.returncode == 0, done.stderr
  assert json.loads(done.stdout.splitlines()[-1]) == ['location', 'category', 'score', 'number of detections']
  assert len(_by_mediapipe(mediapipe, subject, subject.files[form])) > 0
  assert _by_mediapipe(mediapipe, subject, written) == [
    dataclasses.replace(found, name=f'my {found.name}')
    for found in _by_mediapipe(mediapipe, subject, subject.files[form])
  ]


@pytest.mark.parametrize('form', _FORMS)
def test_compiled_model(subject, form):
  from ai_edge_litert import compiled_model

  with open(layout.sidecar_path(subject.files[form]), encoding='utf-8') as file:
    facts = json.load(file)
  model = compiled_model.CompiledModel.from_file(subject.files[form])
  inputs, outputs = model.create_input_buffers(0), model.create_output_buffers(0)
  inputs[0].write(predict.read_image(subject.image)[np.newaxis].astype(facts['inputs'][0]['dtype']))
  model.run_by_index(0, inputs, outputs)
  order = model.get_signature_by_index(0)['outputs']
  shapes = {entry['name']: entry['shape'] for entry in facts['outputs']}
  values = {
    name: outputs[order.index(name)].read(int(np.prod(shape)), np.float32).reshape(shape)
    for name, shape in shapes.items()
  }
  boxes = values['detection_boxes'][0] * np.tile(facts['input_size'], 2)
  names = [label['name'] for label in facts['labels']]
  found = [
    Found(tuple(boxes[i, [1, 0, 3, 2]]), float(values['detection_scores'][0, i]), names[int(kind)])
    for i, kind in enumerate(values['detection_classes'][0, : int(values['num_detections'][0])])
  ]
  found = [one for one in found if one.score >= _THRESHOLD]
  _assert_same(subject, _by_predictor(subject.files[form], subject.image), found)


@pytest.mark.parametrize('form', _FORMS)
def test_mediapipe_tasks_in_the_browser(subject, form, tmp_path):
  browser = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
  if not browser:
    pytest.skip('no chromium')
  if not (_WEB / 'node_modules').is_dir():
    pytest.skip('examples/web: npm install has not been run')
  site = tmp_path / 'site'
  site.mkdir()
  for path in (*_WEB.glob('*.html'), *_WEB.glob('*.js'), _WEB / 'node_modules'):
    (site / path.name).symlink_to(path)
  shutil.copy(subject.files[form], site / 'model.tflite')
  shutil.copy(subject.image, site / 'image.png')
  page = f'index.html?model=model.tflite&image=image.png&threshold={_THRESHOLD}&report=report'
  report = _visit(browser, site, page, tmp_path)
  assert 'error' not in report, report['error']
  found = [
    _of_mediapipe(
      [one['boundingBox'][side] for side in ('originX', 'originY', 'width', 'height')],
      (one['categories'][0]['categoryName'], one['categories'][0]['score']),
    )
    for one in report['detections']
  ]
  _assert_same(subject, _by_predictor(subject.files[form], subject.image), found, form.startswith('int8'))
  if form == 'float':
    _assert_same(subject, subject.by_model, found)


class _Site(http.server.SimpleHTTPRequestHandler):
  """Serves files and keeps what a page posts."""

  def __init__(self, reports, *args, **kwargs):
    self._reports = reports
    super().__init__(*args, **kwargs)

  def do_POST(self):
    self._reports.put(json.loads(self.rfile.read(int(self.headers['Content-Length']))))
    self.send_response(204)
    self.end_headers()

  def log_message(self, *args):
    pass


def _visit(browser: str, site: pathlib.Path, page: str, tmp_path: pathlib.Path) -> dict:
  """What a page posts when a browser without a window opens it."""
  reports = queue.Queue()
  handler = functools.partial(_Site, reports, directory=str(site))
  with http.server.ThreadingHTTPServer(('localhost', 0), handler) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f'http://localhost:{server.server_address[1]}/{page}'
    flags = ['--headless=new', '--no-sandbox', '--disable-gpu', '--no-first-run', f'--user-data-dir={tmp_path}/profile']
    with open(tmp_path / 'browser.log', 'w') as log:
      process = subprocess.Popen([browser, *flags, url], stdout=log, stderr=log)
    try:
      return reports.get(timeout=600)
    except queue.Empty:
      pytest.fail(f'the page posted nothing; {(tmp_path / "browser.log").read_text()[-2000:]}')
    finally:
      process.terminate()
      process.wait(30)
      server.shutdown()
