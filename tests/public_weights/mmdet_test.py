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
"""An imported detector of mmdetection computes what its code computes.

data/mmdet_r50_nasfpn/ is the output of mmdetection itself (3.3.0, with mmcv 2.1.0: ResNet with base_channels 2, NASFPN
2 @ 8 and RetinaSepBNHead with 80 classes, random weights): its state_dict, and what it computes for one image: raw
outputs of the finer levels at every eighth, fourth and second position, and the detections, of which the suppression
was computed beside it, as mmcv's needs its compiled part.
"""

import pathlib
import re
import sys
import types

import numpy as np
import pytest
import tf_keras

from nasfpn_tf import zoo
from nasfpn_tf.public_weights import coco, importing, mmdet, name_map, torch_checkpoint

DATA = pathlib.Path(__file__).parent / 'data' / 'mmdet_r50_nasfpn'
KEPT = {3: 8, 4: 4, 5: 2, 6: 1, 7: 1}
IDS = [label['label'] for label in coco.labels()]


def _state():
  return dict(np.load(DATA / 'state.npz'))


def _import(monkeypatch, directory, state):
  monkeypatch.setattr(torch_checkpoint, 'read', lambda path: state)
  return importing.import_checkpoint('mmdet', 'narrow.pth', str(directory), (128, 128))


def test_computes_and_detects_the_same(tmp_path, monkeypatch):
  report = _import(monkeypatch, tmp_path / 'run', _state())
  assert not report.missing
  assert not report.unused
  model = zoo.load_detector(str(tmp_path / 'run'))
  expected = np.load(DATA / 'outputs.npz')
  pixels = expected['pixels'].astype(np.float32) / np.float32(255)
  image = (pixels - np.float32([0.485, 0.456, 0.406])) / np.float32([0.229, 0.224, 0.225])
  features = model.decoder(model.backbone(image, training=False), training=False)
  classes, boxes, _ = model.head(features, training=False)
  for level, step in KEPT.items():
    theirs = expected[f'class_{level}'].transpose(0, 2, 3, 1)
    theirs = theirs.reshape([*theirs.shape[:3], 3, 3, 80])  # Ratio outside, scale inside.
    ours = classes[str(level)][:, ::step, ::step].numpy().reshape([*theirs.shape[:5], 91])  # Scale outside.
    assert np.delete(ours, IDS, axis=-1).max() < -10
    np.testing.assert_allclose(ours[..., ::-1, :].swapaxes(3, 4)[..., IDS], theirs, atol=1e-4)
    theirs = expected[f'box_{level}'].transpose(0, 2, 3, 1).reshape([*theirs.shape[:5], 4])
    ours = boxes[str(level)][:, ::step, ::step].numpy().reshape(theirs.shape)[..., ::-1, :].swapaxes(3, 4)
    np.testing.assert_allclose(ours[..., [3, 2]], theirs[..., 2:], atol=1e-4)  # Width and height; centers: below.

  found = model(image, image_shape=np.array([[128, 128]]), training=False)
  np.testing.assert_array_equal(found['detection_classes'][0], np.array(IDS)[expected['det_classes']])
  np.testing.assert_allclose(found['detection_scores'][0], expected['det_scores'], atol=1e-4)
  corners = expected['det_boxes'][:, [1, 0, 3, 2]]
  np.testing.assert_allclose(found['detection_boxes'][0], corners, atol=1e-2)
  options = model.detection_generator.get_config()
  assert options['pre_nms_per_level'] and options['pre_nms_top_k'] == 1000


def test_classes_that_are_not_cocos_are_counted_from_one():
  state = _state()
  bias = state['bbox_head.retina_cls.bias'].reshape([9, 80])[:, :3]
  state['bbox_head.retina_cls.bias'] = bias.reshape([27])
  weight = state['bbox_head.retina_cls.weight'].reshape([9, 80, 8, 3, 3])[:, :3]
  state['bbox_head.retina_cls.weight'] = weight.reshape([27, 8, 3, 3])
  assert mmdet.model_settings(state, 'three.pth')['num_classes'] == 4
  converted = mmdet.converted(state)['bbox_head/retina_cls/bias'].reshape([9, 4])
  np.testing.assert_array_equal(converted[0, 1:], bias[6])  # The third of three ratios, the first of three scales.
  assert converted[:, 0].max() == -20.0


@pytest.mark.parametrize(
  ('name', 'message'),
  [
    ('neck.fpn_stages.0.gp_64_4.out_conv.conv.weight', 'is not a RetinaNet with ResNet and NAS-FPN of mmdetection'),
    ('backbone.layer2.1.conv2.weight', '1 of the model without a value'),
  ],
)
def test_another_model_is_refused(tmp_path, monkeypatch, name, message):
  state = _state()
  del state[name]
  with pytest.raises(ValueError, match=message):
    _import(monkeypatch, tmp_path / 'run', state)
  assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize(
  ('name', 'value'),
  [
    ('bbox_head.retina_cls.bias', np.float32(1)),
    ('bbox_head.retina_cls.bias', np.zeros([7], np.float32)),
    ('bbox_head.retina_cls.weight', np.zeros([3], np.float32)),
    ('bbox_head.retina_reg.weight', None),
    ('backbone.conv1.weight', np.float32(1)),
    ('backbone.conv1.weight', np.zeros([0, 3, 7, 7], np.float32)),
    ('backbone.bn1.scale', np.zeros([2], np.float32)),
  ],
)
def test_shapes_and_names_of_no_model_are_told_by_file(tmp_path, monkeypatch, name, value):
  state = _state()
  if value is None:
    del state[name]
  else:
    state[name] = value
  with pytest.raises(ValueError, match=r"^checkpoint 'narrow\.pth'"):
    _import(monkeypatch, tmp_path / 'run', state)
  assert not (tmp_path / 'run').exists()


def test_a_number_in_a_name_does_not_make_the_model_larger():
  state = _state()
  state['neck.fpn_stages.99999999.gp_64_4.out_conv.conv.weight'] = np.zeros([8, 8, 3, 3], np.float32)
  assert mmdet.model_settings(state, 'numbers.pth')['decoder']['feature_pyramid']['num_repeats'] == 3


def test_integers_are_no_weights():
  model = tf_keras.Sequential([tf_keras.layers.Dense(2, use_bias=False, input_shape=(3,))])
  rules = [name_map.Rule('their_dense', 'dense')]
  with pytest.raises(ValueError, match=r"checkpoint 'a' .* not floating-point \(their_dense/kernel is int64\)"):
    name_map.assign(model, {'dense': model.layers[0]}, {'their_dense/kernel': np.ones([3, 2], np.int64)}, rules, 'a')


def test_missing_file_and_missing_pytorch_are_named(tmp_path, monkeypatch):
  with pytest.raises(FileNotFoundError, match=r"'.*none\.pth' does not exist"):
    torch_checkpoint.read(str(tmp_path / 'none.pth'))
  with pytest.raises(ValueError, match=r'holds 0 files \*\.pth'):
    torch_checkpoint.read(str(tmp_path))
  (tmp_path / 'model.pth').write_bytes(b'0')
  monkeypatch.setitem(sys.modules, 'torch', None)
  with pytest.raises(ValueError, match=r'PyTorch, which is not installed: `pip install torch`'):
    torch_checkpoint.read(str(tmp_path))
  monkeypatch.setitem(sys.modules, 'torch', types.ModuleType('torch'))
  with pytest.raises(ValueError, match=r"model\.pth is a checkpoint of PyTorch, which cannot be loaded here .*'load'"):
    torch_checkpoint.read(str(tmp_path))


def test_a_wrong_size_of_the_images_is_not_the_checkpoints_fault(tmp_path, monkeypatch):
  monkeypatch.setattr(torch_checkpoint, 'read', lambda path: _state())
  with pytest.raises(ValueError, match=r'^model\.input_size .*200 is not a multiple of 128'):
    importing.import_checkpoint('mmdet', 'narrow.pth', str(tmp_path / 'run'), (200, 200))


class _Hostile:
  def __reduce__(self):
    return print, ('this must not run',)


def test_reads_weights_and_runs_nothing(tmp_path, capsys):
  torch = pytest.importorskip('torch', reason='PyTorch is not installed')
  state = {name: torch.tensor(value) for name, value in _state().items()}
  path = str(tmp_path / 'model.pth')
  torch.save({'meta': {'epoch': 50}, 'state_dict': state}, path)
  read = torch_checkpoint.read(str(tmp_path))
  assert {name: value.tolist() for name, value in read.items()} == {n: v.tolist() for n, v in state.items()}
  for content, message in (
    ({'state_dict': state, 'meta': _Hostile()}, 'names print, which could run code'),
    ({'state_dict': {}}, 'holds no state_dict'),
    ({'state_dict': [1]}, 'holds no state_dict'),
    ({'state_dict': {1: torch.zeros(1)}}, 'holds no state_dict'),
    ([1, 2], 'holds no state_dict'),
    ({'a': torch.tensor(float('nan'))}, 'NaN or infinite: a'),
    ({'a': torch.zeros(1, dtype=torch.int32)}, 'no dense floating-point weights.*: a'),
    ({'a': torch.zeros(1).to_sparse()}, 'no dense floating-point weights.*: a'),
  ):
    torch.save(content, path)
    with pytest.raises(ValueError, match=f'{re.escape(path)}.*{message}'):
      torch_checkpoint.read(path)
  torch.save({'a': torch.nn.Parameter(torch.ones(2, dtype=torch.bfloat16))}, path)
  assert torch_checkpoint.read(path)['a'].tolist() == [1, 1]
  torch.save(state, path)
  whole = pathlib.Path(path).read_bytes()
  for size in (0, 100, len(whole) // 2):
    pathlib.Path(path).write_bytes(whole[:size])
    with pytest.raises(ValueError, match='damaged'):
      torch_checkpoint.read(path)
  changed = bytearray(whole)
  changed[len(whole) // 2] ^= 1
  pathlib.Path(path).write_bytes(changed)
  with pytest.raises(ValueError, match=r'is damaged.*CRC'):
    torch_checkpoint.read(path)
  assert 'must not run' not in capsys.readouterr().out
