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
"""Compares NAS-FPNLite with stacked FPN and FPNLite: same backbone, schedule and multiply-adds, several seeds.

python -m benchmarks.necks --train=records/bccd_train --validation=records/bccd_val --output_dir=runs/necks

Trains every pyramid of --necks with every seed by scripts/train.py, one after the other, and evaluates each once, at
the last step, so nothing is selected on the validation records. The first of --necks is the reference: pyramid and head
of the others must have its multiply-adds within 5 %, by the closed form; the backbone and the number of convolutions of
the head are the same. A run that is done is not trained again, one that was stopped is continued: give the same command
again.

Leaves OUTPUT_DIR/records.json, one entry a run, and OUTPUT_DIR/necks.md, mean and spread by pyramid.
"""

import dataclasses
import json
import os
import pathlib
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import tf_keras
from absl import app, flags
from official.vision.modeling.backbones import factory

from nasfpn_tf import config, failure, topology, whole_file
from nasfpn_tf.data.records import manifest
from nasfpn_tf.modeling import backbones  # noqa: F401  Registers the backbones.
from nasfpn_tf.modeling.weights import pretrained
from nasfpn_tf.training import params as params_lib

FLAGS = flags.FLAGS
DEFAULT_NECKS = ('nas_fpn:3x64', 'fpn:4x64', 'fpn:1x76')
TOLERANCE = 0.05
_ROOT = pathlib.Path(__file__).resolve().parent.parent
_METRICS = ('AP', 'AP50', 'AP75', 'APs', 'APm', 'APl')


@dataclasses.dataclass(frozen=True)
class Settings:
  """The compared pyramids, and the data they are compared on.

  Attributes:
    train: prefix of the training records.
    validation: prefix of the records to evaluate on.
    output_dir: where runs, records.json and necks.md go.
    config_files: what the runs have in common; as of train.py.
    params_override: further changes that they have in common; as of train.py.
    necks: 'topology:REPEATSxFILTERS', as `plan` takes them.
    seeds: a run each.
    steps: of a run, the schedule with them; None: those of the configuration.
    program: what trains, with arguments of its own before those of scripts/train.py, which it takes too.
  """

  train: str
  validation: str
  output_dir: str
  config_files: Sequence[str]
  params_override: str | None = None
  necks: Sequence[str] = DEFAULT_NECKS
  seeds: Sequence[int] = (0, 1, 2)
  steps: int | None = None
  program: Sequence[str] = (str(_ROOT / 'scripts' / 'train.py'),)


@dataclasses.dataclass(frozen=True)
class Neck:
  """A pyramid to compare.

  Attributes:
    topology: what `topology.resolve` takes.
    num_repeats: pyramids in the stack.
    num_filters: their width, and that of the head.
    params: of pyramid and head.
    multiply_adds: of pyramid and head for one image.
  """

  topology: str
  num_repeats: int
  num_filters: int
  params: int
  multiply_adds: int

  @property
  def label(self) -> str:
    """Name of its directory and row."""
    return f'{pathlib.Path(self.topology).stem}_{self.num_repeats}x{self.num_filters}'


def plan(texts: Sequence[str], model: config.Detector, input_filters: Mapping[str, int]) -> list[Neck]:
  """Lists the pyramids and their cost.

  Args:
    texts: 'topology:REPEATSxFILTERS'; after the first also 'topology:REPEATS', with the even number of filters that
      comes nearest to the first one's cost.
    model: what the detectors have in common, with its number of classes.
    input_filters: {level: channels} of the backbone.

  Raises:
    ValueError: a text is not understood, or a cost differs from the first one's by more than `TOLERANCE`.
  """
  necks = []
  for text in texts:
    reference, _, size = text.rpartition(':')
    repeats, _, filters = size.partition('x')
    if not (reference and repeats.isdigit() and (filters.isdigit() or (necks and size == repeats))):
      raise ValueError(f'--necks={text}: topology:REPEATSxFILTERS is needed, such as nas_fpn:3x64.')
    spec = topology.resolve(reference, model.min_level, model.max_level)
    widths = [int(filters)] if filters else range(2, 8 * necks[0].num_filters, 2)
    candidates = [_neck(reference, spec, int(repeats), width, model, input_filters) for width in widths]
    wanted = necks[0].multiply_adds if necks else 0
    necks.append(min(candidates, key=lambda neck, wanted=wanted: abs(neck.multiply_adds - wanted)))
  for neck in necks[1:]:
    ratio = neck.multiply_adds / necks[0].multiply_adds
    if abs(ratio - 1.0) > TOLERANCE:
      raise ValueError(
        f'{neck.label} has {ratio:.3f} times the multiply-adds of {necks[0].label} in pyramid and head; it must be'
        f' within {TOLERANCE:.0%}: change its repeats or filters.'
      )
  return necks


def _neck(
  reference: str,
  spec: topology.PyramidSpec,
  num_repeats: int,
  num_filters: int,
  model: config.Detector,
  input_filters: Mapping[str, int],
) -> Neck:
  """Returns a pyramid with its cost and the cost of the head."""
  stack = {'num_repeats': num_repeats, 'num_filters': num_filters, 'input_filters': input_filters}
  stack['separable'] = model.decoder.feature_pyramid.use_separable_conv
  head = {
    'num_classes': model.num_classes,
    'num_filters': num_filters,
    'num_anchors': len(model.anchor.aspect_ratios) * model.anchor.num_scales,
    'num_convs': model.head.num_convs,
    'separable': model.head.use_separable_conv,
  }
  size = tuple(model.input_size[:2])
  params = topology.params(spec, **stack) + topology.retinanet_head_params(spec, **head)
  work = topology.multiply_adds(spec, image_size=size, **stack)
  work += topology.retinanet_head_multiply_adds(spec, image_size=size, **head)
  return Neck(reference, num_repeats, num_filters, params, work)


def overrides(neck: Neck, seed: int, settings: Settings) -> dict[str, Any]:
  """Returns the changes of a run to the common configuration."""
  pyramid = {'topology': neck.topology, 'num_repeats': neck.num_repeats, 'num_filters': neck.num_filters}
  task = {
    'model': {'decoder': {'feature_pyramid': pyramid}, 'head': {'num_filters': 0}},
    'train_data': {'input_path': settings.train, 'seed': seed},
    'validation_data': {'input_path': settings.validation},
  }
  steps = settings.steps
  if steps is None:
    return {'task': task}
  schedule = {
    'learning_rate': {'cosine': {'decay_steps': steps}},
    'warmup': {'linear': {'warmup_steps': max(1, round(0.03 * steps))}},
  }
  return {'task': task, 'trainer': {'train_steps': steps, 'optimizer_config': schedule}}


def run(neck: Neck, seed: int, params: Any, settings: Settings) -> dict[str, Any]:
  """Trains and evaluates one detector, or resumes its training; returns its record.

  Raises:
    ValueError: the training failed, or the directory holds a run of other settings.
  """
  directory = pathlib.Path(settings.output_dir) / neck.label / f'seed_{seed}'
  changes = overrides(neck, seed, settings)
  given = {'config_file': list(settings.config_files), 'params_override': settings.params_override, 'changes': changes}
  if neck.topology.endswith('.json'):  # The file may have changed since.
    given['topology'] = topology.resolve(neck.topology).to_dict()
  # Evaluated once, at the end; saved often enough to be continued.
  end = settings.steps or params.trainer.train_steps
  changes = {**changes, 'trainer': {**changes.get('trainer', {}), 'validation_interval': end}}
  changes['trainer']['checkpoint_interval'] = min(params.trainer.checkpoint_interval, end)
  changes['trainer']['steps_per_loop'] = min(params.trainer.steps_per_loop, end)
  directory.mkdir(parents=True, exist_ok=True)
  file = directory / 'settings.json'
  if file.exists() and json.loads(file.read_text()) != given:
    raise ValueError(f'{directory} holds a run of other settings ({file}); give another --output_dir.')
  file.write_text(json.dumps(given, indent=1))
  record = directory / 'record.json'
  if record.exists():
    return json.loads(record.read_text())
  (directory / 'neck.yaml').write_text(json.dumps(changes))  # JSON is YAML.
  command = [sys.executable, *settings.program, f'--model_dir={directory / "run"}']
  command += [f'--config_file={name}' for name in (*settings.config_files, directory / 'neck.yaml')]
  command += [f'--params_override={settings.params_override}'] if settings.params_override else []
  print(f'{neck.label}, seed {seed}', flush=True)
  environment = {**os.environ, 'PYTHONPATH': os.pathsep.join([str(_ROOT), os.environ.get('PYTHONPATH', '')])}
  code = subprocess.run(command, env=environment, check=False).returncode
  if code:
    raise ValueError(f'{neck.label}, seed {seed}: the training ended with {code}; the same command resumes it.')
  evaluation = json.loads((directory / 'run' / 'eval.json').read_text())
  values = {'neck': neck.label, **dataclasses.asdict(neck), 'seed': seed, 'step': evaluation['step']}
  values |= {name: evaluation[name] for name in _METRICS if name in evaluation}
  whole_file.write_json(record, values)
  return values


def markdown(records: Sequence[Mapping[str, Any]]) -> str:
  """Writes a table of mean, standard deviation and every seed's AP by pyramid."""
  lines = [
    '| pyramid | params, M | multiply-adds, M | AP: mean | standard deviation | of each seed | AP50: mean |',
    '|---|---|---|---|---|---|---|',
  ]
  for label in dict.fromkeys(record['neck'] for record in records):
    runs = [record for record in records if record['neck'] == label]
    values = [100 * record['AP'] for record in runs]
    spread = f'{statistics.stdev(values):.2f}' if len(values) > 1 else ''
    each = ', '.join(f'{value:.1f}' for value in values)
    fifty = statistics.mean(100 * record['AP50'] for record in runs)
    size = f'{runs[0]["params"] / 1e6:.3f} | {runs[0]["multiply_adds"] / 1e6:.1f}'
    lines.append(f'| {label} | {size} | {statistics.mean(values):.2f} | {spread} | {each} | {fifty:.2f} |')
  return '\n'.join(
    [*lines, '', 'Params and multiply-adds are those of pyramid and head; the backbone is the same.', '']
  )


def _input_filters(model: config.Detector) -> dict[str, int]:
  model = pretrained.without_pretrained_weights(model)
  backbone = factory.build_backbone(
    tf_keras.layers.InputSpec(shape=[None, *model.input_size]), model.backbone, model.norm_activation
  )
  return {level: shape[-1] for level, shape in backbone.output_specs.items()}


def prepare(settings: Settings) -> tuple[Any, list[Neck]]:
  """Prepares the experiment that all runs share, and the pyramids to compare.

  Raises:
    ValueError: the configuration is not one that this can vary.
  """
  params = params_lib.load_params(None, settings.config_files, settings.params_override)
  model = params.task.model
  if model.decoder.type != 'feature_pyramid':
    raise ValueError(f"the configuration has decoder {model.decoder.type!r}; 'feature_pyramid' is what is compared.")
  schedule = params.trainer.optimizer_config
  if settings.steps and (schedule.learning_rate.type, schedule.warmup.type) != ('cosine', 'linear'):
    raise ValueError('--steps shortens a cosine schedule with linear warm-up; the configuration has another one.')
  if not model.num_classes:
    found = manifest.find_manifest(settings.train)
    if found is None:
      raise ValueError(f'--train={settings.train}: there is no manifest to read the number of classes from.')
    model.num_classes = found.num_classes
  return params, plan(settings.necks, model, _input_filters(model))


def compare(settings: Settings) -> list[dict[str, Any]]:
  """Trains and evaluates all runs; returns the records."""
  params, necks = prepare(settings)
  records = []
  for seed in settings.seeds:  # Every pyramid has a run before one has two.
    for neck in necks:
      records.append(run(neck, seed, params, settings))
      ordered = sorted(records, key=lambda record: [neck.label for neck in necks].index(record['neck']))
      output = pathlib.Path(settings.output_dir)
      (output / 'records.json').write_text('[\n' + ',\n'.join(map(json.dumps, ordered)) + '\n]\n')
      (output / 'necks.md').write_text(markdown(ordered))
  return records


def define_flags() -> None:
  """Defines the flags, not on import because other programs have flags of the same names."""
  flags.DEFINE_string('train', None, 'Prefix of the training records.')
  flags.DEFINE_string('validation', None, 'Prefix of the evaluation records.')
  flags.DEFINE_string('output_dir', None, 'Directory for the runs, records.json and necks.md.')
  flags.DEFINE_multi_string(
    'config_file', ['bccd_mobilenetv2_nasfpnlite_3x64_384x512'], 'Configuration of all runs, as in train.py.'
  )
  flags.DEFINE_string('params_override', None, 'Overrides for all runs, as in train.py.')
  flags.DEFINE_list(
    'necks',
    list(DEFAULT_NECKS),
    'topology:REPEATSxFILTERS, the reference first; topology:REPEATS chooses the filters by its cost.',
  )
  flags.DEFINE_list('seeds', ['0', '1', '2'], 'A run each.')
  flags.DEFINE_integer(
    'steps', None, 'Training steps per run; the schedule is scaled; default: those of the configuration.'
  )
  flags.mark_flags_as_required(['train', 'validation', 'output_dir'])


def settings_of_flags() -> Settings:
  """Reads the flags of `define_flags`."""
  return Settings(
    train=FLAGS.train,
    validation=FLAGS.validation,
    output_dir=FLAGS.output_dir,
    config_files=FLAGS.config_file,
    params_override=FLAGS.params_override,
    necks=FLAGS.necks,
    seeds=[int(seed) for seed in FLAGS.seeds],
    steps=FLAGS.steps,
  )


def main(argv):
  del argv
  with failure.told('necks'):
    compare(settings_of_flags())
  print((pathlib.Path(FLAGS.output_dir) / 'necks.md').read_text())


if __name__ == '__main__':
  define_flags()
  app.run(main)
