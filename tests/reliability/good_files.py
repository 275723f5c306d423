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

"""Good files of every kind for the commands, in a directory."""

import pathlib
import shutil

from nasfpn_tf import topology
from tests import testing
from tests.frontier import samples
from tests.training import rectangles


def prepare(directory: pathlib.Path, trained: pathlib.Path) -> None:
  """Fills a directory with good files of every kind, from the directory of `interruptions.train_once`."""
  prepare_texts(directory)
  for path in [*trained.glob('set*'), trained / 'run', trained / 'saved_model']:
    (shutil.copytree if path.is_dir() else shutil.copy)(path, directory / path.name)
  for name in ('model.tflite', 'model.json'):
    shutil.copy(trained / 'old' / name, directory)
  for path in (directory / 'run').glob('ckpt-??.*'):  # The checkpoints below best/ and the newest are enough.
    if '-24' not in path.name:
      path.unlink()
  for path in (trained / 'tiny.yaml', directory / 'run' / 'params.yaml'):
    (directory / path.relative_to(path.parent if path.parent == trained else directory)).write_text(
      path.read_text().replace(str(trained), str(directory))
    )
  (directory / 'search.yaml').write_text(
    "evaluator: {name: 'tests.search.samples:instant', trial: 3}\nsearcher: {name: random}\nmax_trials: 3\n"
  )
  (directory / 'tpu').mkdir()
  for path in (testing.repo_root() / 'tests/public_weights/data/tpu_r50_nasfpn').glob('model.ckpt-0*'):
    shutil.copy(path, directory / 'tpu' / path.name.replace('ckpt-0', 'ckpt'))
  rectangles.write(directory / 'calibration', num_images=10)
  annotate(directory)


def prepare_texts(directory: pathlib.Path) -> None:
  """Fills a directory with the good files that no detector is needed for."""
  directory.mkdir(parents=True)
  (directory / 'images.txt').write_text('set_images/1.jpg\nset_images/2.jpg\n')
  (directory / 'records.jsonl').write_text(samples.sample().to_json() + '\n')
  (directory / 'topology.json').write_text(topology.get('fpn').to_json())


def annotate(directory: pathlib.Path) -> None:
  """Annotations in YOLO's and VOC's form, and a directory of images with them."""
  names = [path.stem for path in sorted((directory / 'set_images').iterdir())]
  for made in ('labels', 'xml', 'data'):
    (directory / made).mkdir()
  for name in names:
    (directory / 'labels' / f'{name}.txt').write_text('0 0.5 0.5 0.25 0.25\n1 0.25 0.25 0.25 0.25\n')
    (directory / 'xml' / f'{name}.xml').write_text(
      f'<annotation><filename>{name}.jpg</filename><size><width>128</width><height>128</height></size><object><name>cat'
      '</name><bndbox><xmin>10</xmin><ymin>20</ymin><xmax>90</xmax><ymax>80</ymax></bndbox></object></annotation>'
    )
  (directory / 'data.yaml').write_text('names: [cat, dog]\n')
  shutil.copytree(directory / 'labels', directory / 'data' / 'labels')
  shutil.copytree(directory / 'set_images', directory / 'data' / 'images')
  shutil.copy(directory / 'data.yaml', directory / 'data')
