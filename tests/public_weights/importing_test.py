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
"""An imported detector computes what the code that published it computes.

data/tpu_r50_nasfpn/ is the output of tensorflow/tpu itself (commit 7dc921f, models/official/detection, run with
tf.compat.v1): ResNet-50 with 1/32 of the channels, NAS-FPN 7 @ 4, 91 classes, random weights, its checkpoint and what
it computes for one image. Of the class logits of the two finest levels every eighth and every fourth cell is kept.
"""

import functools
import http.server
import json
import pathlib
import shutil
import tarfile
import threading
import types

import numpy as np
import pytest
import tensorflow as tf

from nasfpn_tf import zoo
from nasfpn_tf.public_weights import contents, download, importing
from nasfpn_tf.training import checkpoints
from nasfpn_tf.training import params as params_lib
from tests import commands

DATA = pathlib.Path(__file__).parent / 'data' / 'tpu_r50_nasfpn'
CHECKPOINT = DATA / 'model.ckpt-0'
KEPT = {3: 8, 4: 4, 5: 1, 6: 1, 7: 1}


@pytest.fixture(scope='module')
def imported(tmp_path_factory):
  """(model directory, report) of the checkpoint, downloaded as an archive."""
  root = tmp_path_factory.mktemp('imported')
  with tarfile.open(root / 'narrow.tar.gz', 'w:gz') as archive:
    for file in sorted(DATA.glob('model.ckpt*')):
      archive.add(file, f'narrow/{file.name}')
  handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=root)
  with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
    threading.Thread(target=server.serve_forever).start()
    _, report = importing.import_published(
      'tpu',
      str(root / 'run'),
      url=f'http://127.0.0.1:{server.server_port}/narrow.tar.gz',
      download_dir=str(root / 'downloads'),
      image_size=128,
    )
    server.shutdown()
  return root / 'run', report


@pytest.fixture(scope='module')
def computed(imported):
  expected = np.load(DATA / 'outputs.npz')
  model = zoo.load_detector(str(imported[0]))
  pixels = expected['pixels'].astype(np.float32) / np.float32(255)
  image = (pixels - np.float32([0.485, 0.456, 0.406])) / np.float32([0.229, 0.224, 0.225])
  features = model.decoder(model.backbone(image, training=False), training=False)
  classes, boxes, _ = model.head(features, training=False)
  detections = model(image, image_shape=np.array([[128, 128]]), training=False)
  return expected, classes, boxes, detections


def test_sets_every_variable(imported):
  _, report = imported
  weights = [n for n in tf.train.load_checkpoint(str(CHECKPOINT)).get_variable_to_shape_map() if n != 'global_step']
  assert len(report.matched) == len(set(report.matched)) == len(weights)
  assert not report.missing
  assert not report.unused


@pytest.mark.parametrize('level', KEPT)
def test_raw_outputs_are_those_of_the_authors_code(computed, level):
  expected, classes, boxes, _ = computed
  step = KEPT[level]
  np.testing.assert_allclose(classes[str(level)][:, ::step, ::step], expected[f'class_{level}'], atol=1e-4)
  np.testing.assert_allclose(boxes[str(level)], expected[f'box_{level}'], atol=1e-4)


def test_detections_are_those_of_the_authors_code(computed):
  expected, _, _, detections = computed
  assert list(detections['num_detections']) == list(expected['num_detections']) == [100]
  np.testing.assert_array_equal(detections['detection_classes'], expected['detection_classes'])
  np.testing.assert_allclose(detections['detection_scores'], expected['detection_scores'], atol=1e-4)
  np.testing.assert_allclose(detections['detection_boxes'], expected['detection_boxes'], atol=1e-2)


def test_model_directory_says_what_it_is(imported):
  directory, _ = imported
  labels = json.loads((directory / 'labels.json').read_text())
  assert len(labels) == 80
  assert labels[0] == {'label': 1, 'id': 1, 'name': 'person'}
  assert labels[-1] == {'label': 90, 'id': 90, 'name': 'toothbrush'}
  assert json.loads((directory / 'topology.json').read_text())['name'] == 'nas_fpn'
  source = json.loads((directory / 'source.json').read_text())
  assert source['framework'] == 'tpu'
  assert source['url'].endswith('/narrow.tar.gz')


def test_same_padding_is_refused(imported):
  with pytest.raises(ValueError, match=r"backbone\.resnet\.padding is 'explicit' there and 'same' here"):
    zoo.load_detector(
      str(imported[0]), params_override={'task': {'model': {'backbone': {'resnet': {'padding': 'same'}}}}}
    )


def _copy(tmp_path, leave_out=(), add=()):
  """The checkpoint with other variables, as TensorFlow 1 writes it."""
  reader = tf.train.load_checkpoint(str(CHECKPOINT))
  values = {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map() if name not in leave_out}
  values |= dict(add)
  with tf.Graph().as_default(), tf.compat.v1.Session() as session:
    variables = {name: tf.compat.v1.Variable(value) for name, value in values.items()}
    session.run(tf.compat.v1.global_variables_initializer())
    return tf.compat.v1.train.Saver(variables).save(session, str(tmp_path / 'model.ckpt'), write_meta_graph=False)


def test_optimiser_state_is_left_out_and_the_rest_must_correspond(tmp_path):
  name = 'resnet50/conv2d_7/kernel'
  value = tf.train.load_checkpoint(str(CHECKPOINT)).get_tensor(name)
  path = _copy(tmp_path, {name}, {f'{name}/Momentum': value, 'resnet50/other/kernel': value}.items())
  with pytest.raises(ValueError, match=r'does not fit: 1 of the checkpoint without a counterpart') as error:
    importing.import_checkpoint('tpu', path, str(tmp_path / 'run'), (128, 128))
  assert 'resnet50/other/kernel' in str(error.value)
  assert '1 of the model without a value' in str(error.value)
  assert 'Momentum' not in str(error.value)
  assert not (tmp_path / 'run').exists()


def test_checkpoint_of_another_model(tmp_path):
  path = _copy(tmp_path, {'fpn_cells/cell_0/sub_policy0/op_after_combine5/conv/kernel'})
  with pytest.raises(ValueError, match='is not a RetinaNet with ResNet and NAS-FPN or FPN, or with SpineNet, of'):
    importing.import_checkpoint('tpu', path, str(tmp_path / 'run'))


def test_bad_checkpoints(tmp_path, imported):
  with pytest.raises(FileNotFoundError, match=r'there is no .*none\.index'):
    importing.import_checkpoint('tpu', str(tmp_path / 'none'), str(tmp_path / 'run'))
  with pytest.raises(ValueError, match='no checkpoint'):
    importing.import_checkpoint('tpu', str(tmp_path), str(tmp_path / 'run'))
  with pytest.raises(ValueError, match='is of TensorFlow 2'):
    importing.import_checkpoint('tpu', str(imported[0] / 'ckpt-0'), str(tmp_path / 'run'))
  with pytest.raises(ValueError, match='holds checkpoints already'):
    importing.import_checkpoint('tpu', str(CHECKPOINT), str(imported[0]))
  for file in DATA.glob('model.ckpt*'):
    shutil.copy(file, tmp_path)
  data = tmp_path / 'model.ckpt-0.data-00000-of-00001'
  data.write_bytes(data.read_bytes()[:100000])
  with pytest.raises(ValueError, match=r"model\.ckpt-0' is damaged or not whole"):
    importing.import_checkpoint('tpu', str(tmp_path), str(tmp_path / 'run'))


@pytest.mark.parametrize('framework', importing.FRAMEWORKS)
def test_an_archive_is_to_be_unpacked(framework, tmp_path):
  archive = tmp_path / 'r50.tar.gz'
  archive.write_bytes(b'x')
  with pytest.raises(ValueError, match=r'r50\.tar\.gz is an archive: unpack it'):
    importing.import_checkpoint(framework, str(archive), str(tmp_path / 'run'))
  assert not (tmp_path / 'run').exists()


def test_the_checkpoint_of_another_framework_is_named(tmp_path):
  (tmp_path / 'a.pth').write_bytes(b'x')
  for path in (tmp_path, tmp_path / 'a.pth'):
    for framework in ('tpu', 'model_garden', 'object_detection_api', 'automl'):
      with pytest.raises(ValueError, match='a checkpoint of PyTorch'):
        importing.import_checkpoint(framework, str(path), str(tmp_path / 'run'))
  for path in (DATA, DATA / 'model.ckpt-0', DATA / 'model.ckpt-0.index'):
    with pytest.raises(ValueError, match='a checkpoint of TensorFlow, not of PyTorch'):
      importing.import_checkpoint('mmdet', str(path), str(tmp_path / 'run'))
  with pytest.raises(ValueError, match="'r50_nasfpn_7x256_640' is of tpu, not of automl: leave out --from"):
    importing.import_published('automl', url='r50_nasfpn_7x256_640', download_dir=str(tmp_path))


def test_other_files_in_the_output_directory_are_left_alone(tmp_path, monkeypatch):
  monkeypatch.setattr(download, 'fetch', lambda *args: pytest.fail('downloads before it looks at the directory'))
  (tmp_path / 'run').mkdir()
  (tmp_path / 'run' / 'params.yaml').write_text('mine')
  with pytest.raises(ValueError, match=r'run holds other files \(params\.yaml\): give a new directory'):
    importing.import_checkpoint('tpu', str(CHECKPOINT), str(tmp_path / 'run'), (128, 128))
  with pytest.raises(ValueError, match='holds other files'):
    importing.import_published('tpu', str(tmp_path / 'run'), url='http://127.0.0.1:9/a.tar.gz')
  assert [path.name for path in tmp_path.iterdir()] == ['run']
  assert [path.read_text() for path in (tmp_path / 'run').iterdir()] == ['mine']


@pytest.mark.parametrize('error', [OSError('No space left on device'), KeyboardInterrupt()])
def test_an_import_that_stops_leaves_nothing(tmp_path, monkeypatch, error):
  monkeypatch.setattr(importing, '_built', lambda *args: _small_model())
  arguments = ('tpu', str(CHECKPOINT), str(tmp_path / 'run'), (128, 128))
  with monkeypatch.context() as patch:
    patch.setattr(tf.train.CheckpointManager, 'save', lambda *args, **kwargs: _raise(error))
    with pytest.raises(type(error)):
      importing.import_checkpoint(*arguments)
  assert not list(tmp_path.iterdir())
  (tmp_path / 'disk').mkdir()
  (tmp_path / 'run').symlink_to('disk')  # An empty directory, perhaps on another disk, is used.
  importing.import_checkpoint(*arguments)
  assert sorted(path.name for path in tmp_path.iterdir()) == ['disk', 'run']
  assert checkpoints.available(str(tmp_path / 'disk')) == [str(tmp_path / 'disk' / 'ckpt-0')]
  assert tf.train.latest_checkpoint(str(tmp_path / 'run')) == str(tmp_path / 'run' / 'ckpt-0')


def _small_model():
  """What `importing._built` returns, with one variable."""
  model = types.SimpleNamespace(checkpoint_items={'head': tf.train.Checkpoint(weight=tf.Variable(1.0))})
  params = params_lib.load_params('nasfpn_retinanet', params_override={'task': {'model': {'num_classes': 2}}})
  return model, params, contents.Contents({}, None), None


def _raise(error):
  raise error


def test_what_to_import_must_be_said(tmp_path):
  output_dir = str(tmp_path / 'run')
  with pytest.raises(ValueError, match='give --url, or --checkpoint and --from'):
    importing.import_published('tpu', output_dir)
  with pytest.raises(ValueError, match=r'neither an address nor a known name; .*r50_nasfpn_7x256_640'):
    importing.import_published('tpu', output_dir, url='r50_nasfpn')
  with pytest.raises(ValueError, match='--from is missing'):
    importing.import_published(None, output_dir, checkpoint=str(CHECKPOINT))


def test_script_says_in_one_line_what_is_wrong(tmp_path):
  arguments = ('--from=tpu', f'--checkpoint={tmp_path}/none', f'--output_dir={tmp_path}/run')
  result = commands.run('import_weights.py', *arguments)
  assert result.returncode == 1
  assert f"import_weights: checkpoint '{tmp_path}/none' does not exist" in result.stderr
  assert 'Traceback' not in result.stderr
