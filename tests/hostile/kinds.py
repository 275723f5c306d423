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

"""The kinds of file that come from outside: how to make a good one, and what reads it.

Each entry of `KINDS` is a function that writes good files into a directory and returns the files to damage, and what
reads them then. A reader may refuse with an expected error; the message has to name the file.
"""

import json
import pathlib
import shutil
from collections.abc import Callable

import numpy as np
from PIL import Image

from nasfpn_tf import topology
from nasfpn_tf.artifacts import layout
from nasfpn_tf.config import loading
from nasfpn_tf.data.records import framing, label_names, manifest
from nasfpn_tf.data.sources import formats, images
from nasfpn_tf.search import config as search_config
from nasfpn_tf.search.storage.database import Database
from tests import testing
from tests.frontier import samples

Made = tuple[list[pathlib.Path], Callable[[], object]]
_SHIPPED = testing.repo_root() / 'nasfpn_tf' / 'pretrained'
_IDENTITY = {'space': {'name': 'nasfpn'}, 'seed': 0}


def _text(name: str, text: str, read: Callable[[str], object]) -> Callable[[pathlib.Path], Made]:
  def make(directory: pathlib.Path) -> Made:
    path = directory / name
    path.write_text(text, encoding='utf-8')
    return [path], lambda: read(str(path))

  return make


def _read_override(path: str) -> object:
  text = pathlib.Path(path).read_bytes().decode(errors='replace')
  return loading.nested(loading.parse_override(text))


def _picture(directory: pathlib.Path, name: str = 'images/a.jpg') -> pathlib.Path:
  path = directory / name
  path.parent.mkdir(parents=True, exist_ok=True)
  noise = np.random.default_rng(1).integers(0, 255, (24, 32, 3), np.uint8)
  Image.fromarray(noise).save(path)
  return path


def _image(extension: str) -> Callable[[pathlib.Path], Made]:
  def make(directory: pathlib.Path) -> Made:
    path = _picture(directory, f'a.{extension}')
    return [path], lambda: _decode(path)

  return make


def _decode(path: pathlib.Path) -> object:
  try:
    return images.encode(path.read_bytes())
  except images.ImageError as error:  # Its callers add the name.
    raise ValueError(f'{path}: {error}') from error


def _coco(directory: pathlib.Path) -> Made:
  _picture(directory)
  path = directory / 'a.json'
  value = {
    'images': [{'id': 1, 'file_name': 'a.jpg', 'width': 32, 'height': 24}],
    'annotations': [{'id': 1, 'image_id': 1, 'category_id': 1, 'bbox': [1, 2, 9, 8], 'area': 72, 'iscrowd': 0}],
    'categories': [{'id': 1, 'name': 'cat'}],
  }
  path.write_text(json.dumps(value))
  return [path], lambda: formats.read_dataset('coco', str(path), str(directory / 'images'))


def _voc(directory: pathlib.Path) -> Made:
  _picture(directory)
  path = directory / 'xml' / 'a.xml'
  path.parent.mkdir()
  path.write_text(
    '<annotation><filename>a.jpg</filename><size><width>32</width><height>24</height></size><object><name>cat</name>'
    '<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>9</xmax><ymax>8</ymax></bndbox></object></annotation>'
  )
  return [path], lambda: formats.read_dataset('voc', str(path.parent), str(directory / 'images'))


def _yolo(directory: pathlib.Path) -> Made:
  _picture(directory)
  labels = directory / 'labels'
  labels.mkdir()
  (labels / 'a.txt').write_text('0 0.5 0.5 0.2 0.2\n1 0.2 0.2 0.1 0.1\n')
  names = directory / 'data.yaml'
  names.write_text('names: {0: cat, 1: dog}\nnc: 2\n')
  read = lambda: formats.read_dataset('yolo', str(labels), str(directory / 'images'), str(names))  # noqa: E731
  return [labels / 'a.txt', names], read


def _manifest(directory: pathlib.Path) -> Made:
  path = directory / 'p.manifest.json'
  shards = [{'file': f'p-0000{i}-of-00002.tfrecord', 'num_records': 3, 'num_bytes': 99} for i in range(2)]
  labels = [{'label': 1, 'id': 7, 'name': 'cat'}]
  value = {'format': 1, 'num_records': 6, 'shards': shards, 'num_classes': 2, 'labels': labels}
  path.write_text(json.dumps({**value, 'label_scheme': 'contiguous', 'problems': {}}))
  return [path], lambda: manifest.Manifest.load(path)


def _labels(directory: pathlib.Path) -> Made:
  path = directory / label_names.FILE
  path.write_text(json.dumps([{'label': k, 'id': k, 'name': f'class {k}'} for k in range(1, 4)]))
  return [path], lambda: label_names.of_model(str(directory), 4)


def _tflite(directory: pathlib.Path) -> Made:
  """The pair of files; with a SHA-256, so that no damage reaches LiteRT."""
  path = directory / 'x.tflite'
  path.write_bytes(np.random.default_rng(2).bytes(2000))
  layout.write_sidecar(str(path), {'labels': [], layout.SHA256: layout.sha256(str(path))})
  return [path], lambda: layout.read_sidecar(str(path))


def _detector(directory: pathlib.Path) -> Made:
  """The detector of digits that the package has, run on an image."""
  from nasfpn_tf import predict

  files = [pathlib.Path(shutil.copy(path, directory)) for path in _SHIPPED.glob('digits.*')]
  path = directory / 'digits.tflite'
  return files, lambda: predict.load_predictor(str(path))(np.zeros((32, 48, 3), np.uint8))


def _evaluation(directory: pathlib.Path) -> Made:
  from nasfpn_tf.training import evaluation

  path = directory / 'val.json'
  box = {'image_id': 1, 'category_id': 3, 'bbox': [1, 2, 9, 8], 'area': 72, 'iscrowd': 0}
  value = {'images': [{'id': 1}], 'annotations': [box], 'categories': [{'id': 3, 'name': 'cat'}]}
  path.write_text(json.dumps(value))

  def read():
    evaluator = evaluation.CocoEvaluator(str(path))
    evaluator.add([1], None, [[[2, 1, 10, 10]]], [[0.9]], [[3]])
    return evaluator.evaluate()

  return [path], read


def _frontier(directory: pathlib.Path) -> Made:
  from nasfpn_tf.frontier import record

  path = directory / 'records.jsonl'
  path.write_text(samples.sample().to_json() + '\n' + samples.sample(name='b').to_json() + '\n')
  return [path], lambda: record.load([str(path)])


def _best(directory: pathlib.Path) -> Made:
  from nasfpn_tf.training import checkpoints

  path = directory / 'eval.json'
  path.write_text(json.dumps({'AP': 0.3, 'AP50': 0.5, 'step': 8}))
  return [path], lambda: checkpoints.BestCheckpoint(str(directory), 'AP', higher_is_better=True)


def _records(directory: pathlib.Path) -> Made:
  import tensorflow as tf

  path = directory / 'a.tfrecord'
  with tf.io.TFRecordWriter(str(path)) as writer:
    for size in (10, 300, 50):
      writer.write(bytes(size))
  return [path], lambda: framing.check_files([str(path)])


def _store(directory: pathlib.Path) -> Made:
  path = directory / 'search.sqlite'
  Database(str(path), _IDENTITY).close()
  return [path], lambda: Database(str(path), _IDENTITY).close()


def _saved_model(directory: pathlib.Path) -> Made:
  from tensorflow.core.protobuf import saved_model_pb2

  from nasfpn_tf.artifacts import saved_model

  model = saved_model_pb2.SavedModel()
  graph = model.meta_graphs.add().graph_def
  for name in ('a', 'b'):
    graph.node.add(name=name, op='Identity', input=['x'])
    graph.library.function.add().signature.name = name
  path = directory / layout.SAVED_MODEL
  path.write_bytes(model.SerializeToString())
  return [path], lambda: saved_model.check_operators(str(directory))


def _checkpoint(directory: pathlib.Path) -> Made:
  import tensorflow as tf

  from nasfpn_tf.modeling.weights import restore

  module = tf.Module()
  module.weight = tf.Variable(tf.ones([20, 5]))
  prefix = tf.train.Checkpoint(part=module).write(str(directory / 'ckpt-1'))
  files = [directory / 'ckpt-1.index', directory / 'ckpt-1.data-00000-of-00001']
  return files, lambda: restore.restore_parts({'part': module}, prefix)


_CONFIG = 'task:\n  model: {num_classes: 4, input_size: [64, 64, 3]}\ntrainer: {train_steps: 10, x: 1e-4}\n'
_SEARCH = 'space: {name: nasfpn, num_cells: 5}\nsearcher: {name: random}\nmax_trials: 9\nseed: 2\n'

KINDS: dict[str, Callable[[pathlib.Path], Made]] = {
  'topology': _text('t.json', topology.get('nas_fpn').to_json(), topology.resolve),
  'configuration': _text('c.yaml', _CONFIG, loading.read_yaml),
  'override': _text('o.txt', 'task.model.num_classes=4,a.b=[1, 2],c.d="x"', _read_override),
  'search configuration': _text('s.yaml', _SEARCH, search_config.load),
  'manifest': _manifest,
  'labels.json': _labels,
  '.tflite and JSON': _tflite,
  'detector': _detector,
  'COCO': _coco,
  'VOC': _voc,
  'YOLO': _yolo,
  'JPEG': _image('jpg'),
  'PNG': _image('png'),
  'GIF': _image('gif'),
  'WebP': _image('webp'),
  'TFRecord': _records,
  'search store': _store,
  'SavedModel': _saved_model,
  'checkpoint': _checkpoint,
  'evaluation JSON': _evaluation,
  'frontier': _frontier,
  'best evaluation': _best,
}
