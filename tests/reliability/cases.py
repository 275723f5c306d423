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

"""What is interrupted, and what must hold after each interruption and at the end."""

import abc
import hashlib
import json
import pathlib
import shutil

import numpy as np

from nasfpn_tf.data.records import framing, manifest
from nasfpn_tf.training import checkpoints
from tests.training import rectangles

_MODEL = {'decoder': {'feature_pyramid': {'topology': 'fpn'}}}


class Case(abc.ABC):
  """A command in a directory of its own.

  `prepare` makes what the command starts from, `command` gives it, `check` looks at what an interruption has left,
  `result` is what a run in one go and an interrupted one must have in common.
  """

  name = ''
  codes = (0,)  # Beside the signal's: how a run that was told to stop may end.
  keeps_progress = False  # Whether the next run goes on in what the last has left; else each begins anew.

  @abc.abstractmethod
  def prepare(self, directory: pathlib.Path) -> None:
    """Makes what there is before the command runs."""

  @abc.abstractmethod
  def command(self, directory: pathlib.Path) -> list[str]:
    """The script and its flags."""

  @abc.abstractmethod
  def check(self, directory: pathlib.Path) -> None:
    """Fails where an interruption has damaged anything."""

  @abc.abstractmethod
  def result(self, directory: pathlib.Path) -> object:
    """What must be the same in the end."""


def digests(directory: pathlib.Path, pattern: str) -> dict[str, str]:
  """SHA-256 of files by name."""
  return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(directory.glob(pattern))}


class Records(Case):
  """create_tfrecord.py replaces an older set of the same prefix."""

  name = 'writing records'

  def prepare(self, directory):
    rectangles.write(directory, num_images=60, num_shards=3, name='set')
    images = directory / 'set_images'
    coco = json.loads((directory / 'set.annotations.json').read_text())
    coco['images'] = coco['images'][:40]
    kept = {image['id'] for image in coco['images']}
    coco['annotations'] = [box for box in coco['annotations'] if box['image_id'] in kept]
    (directory / 'new.json').write_text(json.dumps(coco))
    assert len(list(images.iterdir())) == 60

  def command(self, directory):
    return [
      'create_tfrecord.py',
      f'--annotations={directory}/new.json',
      f'--image_dir={directory}/set_images',
      f'--output_prefix={directory}/set',
      '--num_shards=4',
    ]

  def check(self, directory):
    found = manifest.find_manifest(str(directory / 'set'))
    assert found is not None, 'the old set is gone and the new one is not there'
    assert (found.num_records, len(found.shards)) in ((60, 3), (40, 4)), found
    assert framing.check_files(found.shard_paths, found, data=True) == found.num_records

  def result(self, directory):
    return digests(directory, 'set[-.]*')


class Training(Case):
  """train.py trains and evaluates; each interruption hits the run that goes on from the one before."""

  name = 'training'
  codes = (0, 42)
  keeps_progress = True

  def prepare(self, directory):
    prefix = rectangles.write(directory, num_images=7, num_shards=2)
    params = rectangles.experiment(
      prefix,
      task={'model': _MODEL, 'train_data': {'seed': 3, 'parser': {'aug_rand_hflip': True, 'aug_scale_max': 1.2}}},
      trainer={
        'train_steps': 24,
        'steps_per_loop': 2,
        'checkpoint_interval': 4,
        'validation_interval': 8,
        'summary_interval': 2,
        'optimizer_config': {
          'optimizer': {'type': 'sgd', 'sgd': {'momentum': 0.9, 'global_clipnorm': 10.0}},
          'learning_rate': {'type': 'cosine', 'cosine': {'initial_learning_rate': 0.02, 'decay_steps': 24}},
          'ema': {'average_decay': 0.9},
        },
      },
    )
    (directory / 'tiny.yaml').write_text(json.dumps(params.as_dict()))

  def command(self, directory):
    return ['train.py', f'--config_file={directory}/tiny.yaml', f'--model_dir={directory}/run']

  def check(self, directory):
    newest = checkpoints.newest_intact(str(directory / 'run'))
    step = checkpoints.step_of(newest or '')
    before = int((directory / 'step').read_text()) if (directory / 'step').exists() else 0
    assert step >= before, f'checkpoint {before} was there and is gone: {newest}'
    (directory / 'step').write_text(str(step))

  def result(self, directory):
    run = directory / 'run'
    (path,) = checkpoints.available(str(run))[:1]
    best = checkpoints.available(str(run / 'best'))[0]
    return {
      'newest': checkpoints.step_of(path),
      'best': checkpoints.step_of(best),
      'weights': _weights(path),
      'best weights': _weights(best),
      'losses': [
        (line['step'], line['total_loss'], line['learning_rate']) for line in _lines(run / 'train_history.jsonl')
      ],
      'evaluations': [_without_times(line) for line in _lines(run / 'eval_history.jsonl')],
    }


class Evaluation(Case):
  """train.py --mode=eval over an earlier evaluation."""

  name = 'evaluation'
  codes = (0, 42)
  _trained: pathlib.Path | None = None

  def prepare(self, directory):
    if Evaluation._trained is None:
      raise AssertionError('a trained model_dir is needed')
    shutil.copytree(Evaluation._trained, directory, dirs_exist_ok=True)
    (directory / 'tiny.yaml').write_text(
      (directory / 'tiny.yaml').read_text().replace(str(Evaluation._trained), str(directory))
    )

  def command(self, directory):
    return ['train.py', f'--config_file={directory}/tiny.yaml', f'--model_dir={directory}/run', '--mode=eval']

  def check(self, directory):
    json.loads((directory / 'run' / 'eval.json').read_text())
    assert checkpoints.newest_intact(str(directory / 'run')).endswith('ckpt-24')

  def result(self, directory):
    value = json.loads((directory / 'run' / 'eval.json').read_text())
    return {key: item for key, item in value.items() if key != 'checkpoint'}


class SavedModel(Evaluation):
  """export_saved_model.py adds a version beside one that is there."""

  name = 'export to SavedModel'
  codes = ()

  def command(self, directory):
    return [
      'export_saved_model.py',
      f'--model={directory}/run',
      f'--export_dir={directory}/exported',
      '--version=2',
    ]

  def prepare(self, directory):
    super().prepare(directory)
    shutil.copytree(directory / 'saved_model' / '1', directory / 'exported' / '1')

  def check(self, directory):
    assert digests(directory / 'exported' / '1' / 'variables', '*') == digests(
      directory / 'saved_model' / '1' / 'variables', '*'
    )
    new = directory / 'exported' / '2'
    if new.exists():
      assert sorted(path.name for path in new.iterdir()) == sorted(
        path.name for path in (directory / 'exported' / '1').iterdir()
      ), 'half a version'

  def result(self, directory):
    return _weights(str(directory / 'exported' / '2' / 'variables' / 'variables'))


class TFLite(Evaluation):
  """export_tflite.py replaces an older file."""

  name = 'export to LiteRT'
  codes = ()

  def command(self, directory):
    return [
      'export_tflite.py',
      f'--saved_model_dir={directory}/saved_model',
      f'--tflite_path={directory}/out/model.tflite',
    ]

  def prepare(self, directory):
    super().prepare(directory)
    (directory / 'out').mkdir()
    for path in (directory / 'old').iterdir():
      shutil.copy(path, directory / 'out')

  def check(self, directory):
    from nasfpn_tf import predict

    predictor = predict.load_predictor(str(directory / 'out' / 'model.tflite'))
    assert predictor(np.zeros((128, 128, 3), np.uint8)) is not None

  def result(self, directory):
    return digests(directory / 'out', '*.tflite')


class Search(Case):
  """search.py with an evaluator that takes a moment."""

  name = 'search'
  codes = (0, 1, 42)
  keeps_progress = True

  def prepare(self, directory):
    (directory / 'search.yaml').write_text(
      "evaluator: {name: 'tests.search.samples:instant', trial: 3}\nsearcher: {name: evolution}\nmax_trials: 60\n"
      'report_seconds: 0.0\n'
    )

  def command(self, directory):
    return ['search.py', f'--search_config={directory}/search.yaml', f'--search_dir={directory}/run']

  def check(self, directory):
    path = directory / 'run' / 'trials.jsonl'
    ids = [line['id'] for line in _lines(path)] if path.exists() else []
    assert len(ids) == len(set(ids)), 'a trial is listed twice'

  def result(self, directory):
    lines = _lines(directory / 'run' / 'trials.jsonl')
    best = (directory / 'run' / 'best.json').read_text()
    return [(line['id'], line['architecture'], line['measurement']['reward']) for line in lines], best


class Frontier(Case):
  """frontier.py trains, exports and measures one model."""

  name = 'frontier'
  codes = (0, 1)
  keeps_progress = True

  def prepare(self, directory):
    prefix = rectangles.write(directory, num_images=4, num_shards=1)
    model = {'anchor': {'anchor_size': 3.0}, 'backbone': rectangles.NARROW_RESNET}
    params = rectangles.experiment(prefix, task={'train_data': {'seed': 3}, 'model': model}, trainer={'train_steps': 4})
    (directory / 'tiny.yaml').write_text(json.dumps(params.as_dict()))

  def command(self, directory):
    return [
      'frontier.py',
      f'--output_dir={directory}/out',
      f'--train={directory}/set',
      f'--validation={directory}/set',
      f'--config_file={directory}/tiny.yaml',
      '--steps=4',
      '--runs=2',
      '--forms=float',
      '--points=fpnlite_1x48_256',
    ]

  def check(self, directory):
    path = directory / 'out' / 'records.jsonl'
    if path.exists():
      assert all(json.loads(line) for line in path.read_text().splitlines())

  def result(self, directory):
    assert (directory / 'out' / 'frontier.html').exists()
    return [(line['name'], line['metrics']) for line in _lines(directory / 'out' / 'records.jsonl')]


class Quickstart(Case):
  """quickstart.py draws images, trains on them for a few steps, exports and evaluates: ten commands in a chain."""

  name = 'quickstart'
  codes = (0, 1)
  keeps_progress = True

  def prepare(self, directory):
    pass

  def command(self, directory):
    return ['quickstart.py', '--smoke', f'--output_dir={directory}/out']

  def check(self, directory):
    for path in (directory / 'out' / 'records').glob('*.manifest.json'):
      found = manifest.find_manifest(str(path).removesuffix(manifest.SUFFIX))
      assert framing.check_files(found.shard_paths, found, data=True) == found.num_records

  def result(self, directory):
    out = directory / 'out'
    assert (out / 'report.html').exists()
    evaluations = {path.parent.name: json.loads(path.read_text()) for path in out.glob('evaluation/*/evaluation.json')}
    return {
      'images': digests(out / 'images', '*.json') | digests(out / 'images' / 'val', '*'),
      'records': digests(out / 'records', '*'),
      'step': json.loads((out / 'model' / 'eval.json').read_text())['step'],
      'evaluated': {name: value['num_images'] for name, value in sorted(evaluations.items())},
      'left behind': sorted(path.name for path in out.iterdir()),
    }


def _lines(path: pathlib.Path) -> list[dict]:
  """The whole lines of a history."""
  return [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith('\n')]


def _without_times(line: dict) -> dict:
  return {key: value for key, value in line.items() if key not in ('seconds', 'checkpoint')}


def _weights(checkpoint: str) -> dict[str, str]:
  """SHA-256 of the bytes of each variable of a checkpoint but for counters of how often it was saved."""
  import tensorflow as tf

  reader = tf.train.load_checkpoint(checkpoint)
  names = [name for name in reader.get_variable_to_shape_map() if 'save_counter' not in name and 'GRAPH' not in name]
  return {name: hashlib.sha256(np.asarray(reader.get_tensor(name)).tobytes()).hexdigest() for name in sorted(names)}
