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

"""Draws the ground truth of some images above what a detector finds in them, as one JPEG: the first of README.md.

python -m benchmarks.detections_figure --model=runs/bccd --annotations=bccd/annotations/instances_test.json \
  --image_dir=bccd/images --num_images=3 --output=docs/images/detections.jpg
"""

import json
import pathlib

from absl import app, flags
from PIL import Image, ImageDraw, ImageFont

from nasfpn_tf import predict
from nasfpn_tf.predict import drawing

_MODEL = flags.DEFINE_string('model', None, 'model_dir of a training, a SavedModel or a .tflite.', required=True)
_ANNOTATIONS = flags.DEFINE_string('annotations', None, 'COCO JSON of the images.', required=True)
_IMAGE_DIR = flags.DEFINE_string('image_dir', None, 'Directory of the images.', required=True)
_OUTPUT = flags.DEFINE_string('output', None, 'JPEG file to write.', required=True)
_NUM_IMAGES = flags.DEFINE_integer(
  'num_images', 3, 'Number of images, the first ones of the annotations.', lower_bound=1
)
_SCORE_THRESHOLD = flags.DEFINE_float('score_threshold', 0.5, 'Minimum score of the detections that are drawn.')
_WIDTH = flags.DEFINE_integer('width', 330, 'Width of one image in pixels.')

_TITLE_HEIGHT = 24


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'unexpected argument {argv[1]!r}; flags begin with --.')
  predictor = predict.load_predictor(_MODEL.value)
  truth = json.loads(pathlib.Path(_ANNOTATIONS.value).read_text(encoding='utf-8'))
  columns = [_column(predictor, truth, entry) for entry in truth['images'][: _NUM_IMAGES.value]]
  figure = _stack([('ground truth', [above for above, _ in columns]), ('detections', [below for _, below in columns])])
  figure.save(_OUTPUT.value, quality=88)
  print(f'{_OUTPUT.value}: {figure.width} x {figure.height}, {pathlib.Path(_OUTPUT.value).stat().st_size} bytes')


def _column(predictor: predict.Predictor, truth: dict, entry: dict) -> tuple[Image.Image, Image.Image]:
  """Draws one image with its ground truth, and with its detections."""
  image = predict.read_image(str(pathlib.Path(_IMAGE_DIR.value, entry['file_name'])))
  names = {category['id']: category['name'] for category in truth['categories']}
  labels = {label['id']: number for number, label in predictor.labels.items()}
  objects = [annotation for annotation in truth['annotations'] if annotation['image_id'] == entry['id']]
  corners = [(y, x, y + height, x + width) for x, y, width, height in (known['bbox'] for known in objects)]
  categories = [known['category_id'] for known in objects]
  above = drawing.annotate(image, corners, [labels[i] for i in categories], [names[i] for i in categories])
  found = predictor(image).above(_SCORE_THRESHOLD.value)
  captions = [f'{name} {score:.2f}' for name, score in zip(found.names, found.scores, strict=True)]
  return above, drawing.annotate(image, found.boxes, found.classes, captions, found.scores)


def _stack(rows: list[tuple[str, list[Image.Image]]]) -> Image.Image:
  """Stacks rows of images of one width, each row under its title."""
  scaled = [(title, [_scale(image) for image in images]) for title, images in rows]
  heights = [_TITLE_HEIGHT + max(image.height for image in images) for _, images in scaled]
  figure = Image.new('RGB', (_WIDTH.value * len(scaled[0][1]), sum(heights)), 'white')
  draw, font, top = ImageDraw.Draw(figure), ImageFont.load_default(size=15), 0
  for (title, images), height in zip(scaled, heights, strict=True):
    draw.text((4, top + 3), title, fill='black', font=font)
    for column, image in enumerate(images):
      figure.paste(image, (_WIDTH.value * column, top + _TITLE_HEIGHT))
    top += height
  return figure


def _scale(image: Image.Image) -> Image.Image:
  width = _WIDTH.value - 6  # The rest is the margin.
  return image.resize((width, round(image.height * width / image.width)), Image.Resampling.LANCZOS)


if __name__ == '__main__':
  app.run(main)
