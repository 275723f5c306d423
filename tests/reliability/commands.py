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

"""Calls of every command that reads or writes files, and what they read and write."""

import dataclasses
from collections.abc import Mapping

_ANY = ('missing', 'empty', 'cut', 'a directory', 'not UTF-8', 'of another program', 'another value', 'unreadable')
_CUT = ('empty', 'cut', 'not UTF-8', 'another value')  # Harms of a history whose damaged lines are left out.


@dataclasses.dataclass(frozen=True)
class Command:
  """A call of a script with `{d}` for the directory.

  Attributes:
    arguments: the script and its flags.
    inputs: what it reads, relative to the directory.
    outputs: what it writes: a path, and whether that is a 'file', a 'directory', or the 'prefix' of files.
    accepted: harms that are none here, as (input, harm): half a text file is a text file.
  """

  arguments: tuple[str, ...]
  inputs: tuple[str, ...]
  outputs: Mapping[str, str]
  accepted: frozenset[tuple[str, str]] = frozenset()

  @property
  def script(self) -> str:
    """Its name in messages."""
    return self.arguments[0].removesuffix('.py')


CALLS = (
  Command(
    (
      'create_tfrecord.py',
      '--annotations={d}/set.annotations.json',
      '--image_dir={d}/set_images',
      '--output_prefix={d}/out/new',
    ),
    ('set.annotations.json', 'set_images', 'set_images/3.jpg'),
    {'out/new': 'prefix'},
    frozenset(('set_images/3.jpg', harm) for harm in _ANY),
  ),
  Command(
    (
      'create_tfrecord.py',
      '--format=yolo',
      '--annotations={d}/labels',
      '--image_dir={d}/set_images',
      '--categories={d}/data.yaml',
      '--output_prefix={d}/out/new',
    ),
    ('labels', 'data.yaml', 'labels/0.txt'),
    {},
    frozenset(('labels/0.txt', harm) for harm in _ANY),
  ),
  Command(
    (
      'create_tfrecord.py',
      '--format=voc',
      '--annotations={d}/xml',
      '--image_dir={d}/set_images',
      '--output_prefix={d}/out/new',
    ),
    ('xml', 'xml/0.xml'),
    {},
    frozenset(('xml/0.xml', harm) for harm in _ANY),
  ),
  Command(
    (
      'check_dataset.py',
      '--input_path={d}/set',
      '--annotations={d}/set.annotations.json',
      '--config_file={d}/tiny.yaml',
      '--output={d}/out/report.html',
    ),
    ('set.manifest.json', 'set-00000-of-00002.tfrecord', 'set.annotations.json', 'tiny.yaml'),
    {'out/report.html': 'file'},
    frozenset({('set.manifest.json', 'missing')}),
  ),
  Command(
    ('check_dataset.py', '--input_path={d}/set', '--augmented={d}/out/augmented.jpg'),
    (),
    {'out/augmented.jpg': 'file'},
  ),
  Command(
    ('describe.py', '--topology={d}/topology.json', '--svg={d}/out/t.svg'), ('topology.json',), {'out/t.svg': 'file'}
  ),
  Command(
    ('train.py', '--config_file={d}/tiny.yaml', '--model_dir={d}/out/run', '--params_override=trainer.train_steps=2'),
    ('tiny.yaml', 'set-00000-of-00002.tfrecord', 'set.manifest.json', 'set.annotations.json'),
    {'out/run': 'directory'},
    frozenset(
      {('set.manifest.json', 'missing'), ('set.annotations.json', 'missing'), ('set.annotations.json', 'a directory')}
    ),
  ),
  Command(
    (
      'train.py',
      '--config_file={d}/tiny.yaml',
      '--model_dir={d}/out/run',
      '--params_override=trainer.train_steps=2,task.init_checkpoint={d}/run/ckpt-24,task.init_checkpoint_modules=all',
    ),
    ('run/ckpt-24.index', 'run/ckpt-24.data-00000-of-00001'),
    {},
  ),
  Command(
    (
      'train.py',
      '--config_file={d}/tiny.yaml',
      '--model_dir={d}/out/run',
      '--params_override=trainer.train_steps=2,task.init_checkpoint={d}/saved_model,task.init_checkpoint_modules=all',
    ),
    ('saved_model', 'saved_model/1/params.yaml', 'saved_model/1/assets.extra/weights.index'),
    {},
    frozenset({('saved_model/1/params.yaml', 'missing')}),
  ),
  Command(  # A run that goes on.
    ('train.py', '--config_file={d}/tiny.yaml', '--model_dir={d}/run', '--params_override=trainer.train_steps=26'),
    (
      'run/params.yaml',
      'run/run.json',
      'run/train_history.jsonl',
      'run/eval_history.jsonl',
      'run/best/eval.json',
      'run/ckpt-24.index',
      'run/ckpt-24.data-00000-of-00001',
    ),
    {},
    frozenset(
      {
        ('run/params.yaml', 'missing'),
        ('run/best/eval.json', 'missing'),
        *(('run/run.json', harm) for harm in ('missing', *_CUT)),
        *((f'run/{kind}_history.jsonl', harm) for kind in ('train', 'eval') for harm in ('missing', *_CUT)),
        *(('run/ckpt-24.index', harm) for harm in _ANY),  # The one before it is there.
        *(('run/ckpt-24.data-00000-of-00001', harm) for harm in _ANY),
      }
    ),
  ),
  Command(
    ('train.py', '--mode=eval', '--model_dir={d}/run', '--checkpoint_path={d}/run/best'),
    ('run/best', 'run/best/ckpt-16.index', 'run/best/ckpt-16.data-00000-of-00001', 'run/params.yaml'),
    {},
  ),
  Command(
    ('train.py', '--mode=eval', '--config_file={d}/tiny.yaml', '--model_dir={d}/run'),
    ('run', 'run/params.yaml'),
    {},
    frozenset({('run/params.yaml', 'missing')}),
  ),
  Command(
    ('evaluate.py', '--model={d}/model.tflite', '--input_path={d}/set', '--output_dir={d}/out/evaluation'),
    ('model.tflite', 'model.json', 'set-00000-of-00002.tfrecord', 'set.manifest.json', 'set.annotations.json'),
    {'out/evaluation': 'directory'},
    frozenset(
      {('set.manifest.json', 'missing'), ('set.annotations.json', 'missing'), ('set.annotations.json', 'a directory')}
    ),
  ),
  Command(
    (
      'evaluate.py',
      '--model={d}/saved_model',
      '--input_path={d}/set',
      '--annotations={d}/set.annotations.json',
      '--images={d}/set_images/3.jpg',
      '--output_dir={d}/out/evaluation',
    ),
    ('saved_model', 'set.annotations.json', 'set_images/3.jpg'),
    {},
  ),
  Command(
    (
      'evaluate.py',
      '--model={d}/run',
      '--checkpoint_path={d}/run/ckpt-24',
      '--input_path={d}/set',
      '--output_dir={d}/out/evaluation',
    ),
    ('run', 'run/params.yaml', 'run/labels.json', 'run/ckpt-24.index', 'run/ckpt-24.data-00000-of-00001'),
    {},
    frozenset({('run/labels.json', 'missing')}),
  ),
  Command(
    ('predict.py', '--model={d}/model.tflite', '--images={d}/set_images', '--output_dir={d}/out/found'),
    ('model.tflite', 'model.json', 'set_images'),
    {},
  ),
  Command(
    ('predict.py', '--model={d}/saved_model', '--images={d}/set_images/3.jpg', '--output_dir={d}/out/found'),
    (
      'saved_model',
      'saved_model/1/saved_model.pb',
      'saved_model/1/variables/variables.index',
      'saved_model/1/variables/variables.data-00000-of-00001',
      'saved_model/1/labels.json',
      'set_images/3.jpg',
    ),
    {'out/found': 'directory'},
    frozenset({('saved_model/1/labels.json', 'missing')}),
  ),
  Command(
    ('predict.py', '--model={d}/run', '--images={d}/images.txt', '--output_dir={d}/out/found'),
    (
      'run',
      'run/params.yaml',
      'run/labels.json',
      'run/best',
      'run/best/ckpt-16.index',
      'run/best/ckpt-16.data-00000-of-00001',
      'images.txt',
    ),
    {},
    frozenset({('run/labels.json', 'missing'), ('run/best', 'missing'), ('run/best', 'empty'), ('images.txt', 'cut')}),
  ),
  Command(
    (
      'benchmark.py',
      '--model={d}/model.tflite',
      '--runs=2',
      '--name=a',
      '--input_path={d}/set',
      '--records={d}/out/r.jsonl',
    ),
    ('model.tflite', 'set-00000-of-00002.tfrecord'),
    {'out/r.jsonl': 'file'},
  ),
  Command(
    ('benchmark.py', '--model={d}/model.tflite', '--runs=2', '--name=a', '--records={d}/records.jsonl'),
    ('records.jsonl',),
    {},
    frozenset(('records.jsonl', harm) for harm in ('missing', 'empty', 'cut')),
  ),
  Command(
    ('benchmark.py', '--model={d}/run', '--runs=2', '--name=a', '--records={d}/out/r.jsonl'),
    ('run', 'run/params.yaml', 'run/best/ckpt-16.index', 'run/best/ckpt-16.data-00000-of-00001'),
    {},
  ),
  Command(
    ('benchmark.py', '--model={d}/saved_model', '--runs=2', '--name=a', '--records={d}/out/r.jsonl'),
    (
      'saved_model',
      'saved_model/1/saved_model.pb',
      'saved_model/1/variables/variables.index',
      'saved_model/1/export.json',
      'saved_model/1/params.yaml',
    ),
    {},
    frozenset(
      {
        ('saved_model/1/export.json', 'missing'),
        ('saved_model/1/params.yaml', 'missing'),
      }
    ),
  ),
  Command(
    ('report_frontier.py', '--records={d}/records.jsonl', '--output_dir={d}/out/report'),
    ('records.jsonl',),
    {'out/report': 'directory'},
  ),
  Command(
    ('export_saved_model.py', '--model={d}/run', '--input_path={d}/set', '--export_dir={d}/out/exported'),
    (
      'run',
      'run/params.yaml',
      'run/labels.json',
      'run/best/ckpt-16.data-00000-of-00001',
      'set-00000-of-00002.tfrecord',
    ),
    {'out/exported': 'directory'},
    frozenset({('run/labels.json', 'missing')}),
  ),
  Command(
    ('export_tflite.py', '--model={d}/run', '--checkpoint_path={d}/run/best', '--tflite_path={d}/out/m.tflite'),
    ('run', 'run/params.yaml', 'run/labels.json', 'run/best', 'run/best/ckpt-16.data-00000-of-00001'),
    {},
    frozenset({('run/labels.json', 'missing')}),
  ),
  Command(
    (
      'export_tflite.py',
      '--saved_model_dir={d}/saved_model',
      '--quant_type=int8',
      '--calibration_tfrecord={d}/calibration/set',
      '--evaluation_tfrecord={d}/set',
      '--max_ap_drop=1',
      '--tolerance=9',
      '--tflite_path={d}/out/m.tflite',
    ),
    (
      'saved_model',
      'saved_model/1/saved_model.pb',
      'saved_model/1/params.yaml',
      'saved_model/1/assets.extra/weights.index',
      'saved_model/1/assets.extra/weights.data-00000-of-00001',
      'set-00000-of-00002.tfrecord',
    ),
    {'out/m.tflite': 'file'},
  ),
  Command(
    (
      'import_weights.py',
      '--from=tpu',
      '--checkpoint={d}/tpu/model.ckpt',
      '--image_size=128',
      '--output_dir={d}/out/imported',
    ),
    ('tpu/model.ckpt.index', 'tpu/model.ckpt.data-00000-of-00001'),
    {'out/imported': 'directory'},
  ),
  Command(
    ('search.py', '--search_config={d}/search.yaml', '--search_dir={d}/out/search'),
    ('search.yaml',),
    {'out/search': 'directory'},
  ),
  Command(
    (
      'frontier.py',
      '--train={d}/set',
      '--validation={d}/set',
      '--config_file={d}/tiny.yaml',
      '--steps=2',
      '--runs=2',
      '--forms=float',
      '--points=fpnlite_1x48_256',
      '--output_dir={d}/out/frontier',
    ),
    ('tiny.yaml', 'set-00000-of-00002.tfrecord', 'set.manifest.json'),
    {'out/frontier': 'directory'},
    frozenset({('set.manifest.json', 'missing')}),
  ),
  Command(
    (
      'plan.py',
      '--input_path={d}/set',
      '--validation_path={d}/set',
      '--images_per_second=9',
      '--backbone_weights=none',
      '--output={d}/out/plan.yaml',
    ),
    ('set-00000-of-00002.tfrecord', 'set.manifest.json'),
    {'out/plan.yaml': 'file'},
    frozenset({('set.manifest.json', 'missing')}),
  ),
  Command(
    ('split_dataset.py', '--data={d}/data', '--output_dir={d}/out/annotations'),
    ('data', 'data/labels', 'data/images'),
    {'out/annotations': 'directory'},
  ),
  Command(
    ('make_digits.py', '--num_train=3', '--num_val=2', '--output_dir={d}/out/digits'), (), {'out/digits': 'directory'}
  ),
)
