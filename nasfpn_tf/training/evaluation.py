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

"""Computes COCO's metrics over a whole split, every image once, in the user's own category ids."""

import collections
import contextlib
import gc
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import faster_coco_eval
import numpy as np
from absl import logging

from nasfpn_tf.data.sources import coco

_NAMED_IDS = 5  # How many ids an error message spells out.


class NonFiniteDetectionsError(ValueError):
  """Detections that are NaN or infinite: the weights are unusable."""


class CocoEvaluator:
  """Collects detections batch by batch and computes COCO's twelve box metrics and the AP of every category.

  The matching and the metrics are faster-coco-eval's, which gives pycocotools' numbers. Detections are kept as compact
  arrays (32 bytes each in float32) until they are asked for.

  Example:
    evaluator = CocoEvaluator('val.annotations.json', labels=manifest.labels)
    for images, labels in dataset:
      out = model(images, training=False)
      evaluator.add(labels['source_id'], labels['image_info'], out['detection_boxes'], out['detection_scores'],
                    out['detection_classes'], out['num_detections'])
    print(evaluator.evaluate()['AP'])
  """

  def __init__(
    self,
    annotations: str | os.PathLike | Mapping[str, Any],
    labels: Sequence[Any] | None = None,
    per_category: bool = True,
    max_detections: int = 100,
  ):
    """Reads the ground truth.

    Args:
      annotations: path of a COCO annotation file, or its content.
      labels: the model's labels as `create_tfrecord.py` writes them into the manifest: mappings (or objects) with
        `label` and `id`, the category's id in the annotations. None: a label is the category's id.
      per_category: also report `AP/<category name>` for every category that has ground truth.
      max_detections: how many detections of one category count per image, above 10. Another number than COCO's 100
        renames `ARmax100` after itself.

    Raises:
      ValueError: the annotations are no COCO annotations, hold no box that counts, or contradict themselves or the
        labels.
    """
    if max_detections <= 10:
      raise ValueError(
        f'max_detections is {max_detections}; COCO also reports recall at 1 and 10, so give more than 10.'
      )
    self._origin = 'the annotations' if isinstance(annotations, Mapping) else os.fspath(annotations)
    self._max_detections = max_detections
    self._per_category = per_category
    self._ground_truth = self._read_ground_truth(annotations)
    self._image_ids = {image['id'] for image in self._ground_truth['images']}
    self._category_of_label = self._map_labels(labels)
    self.reset()

  def reset(self) -> None:
    """Forgets all detections, for the next evaluation of the same split."""
    self._seen: set[int] = set()
    self._num_repeated = 0
    self._num_unlabelled = 0
    self.matched: faster_coco_eval.COCOeval_faster | None = None  # Of the last `evaluate`.
    self._batches: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = []

  @property
  def num_images(self) -> int:
    """Number of images seen so far."""
    return len(self._seen)

  def add(
    self,
    source_ids: Any,
    image_info: Any | None,
    boxes: Any,
    scores: Any,
    classes: Any,
    num_detections: Any | None = None,
  ) -> None:
    """Adds the detections of a batch of images; anything that converts to a numpy array will do.

    An image that was added before is counted once: its later detections are left out and `evaluate` warns.

    Args:
      source_ids: `[batch]`, COCO image ids, as integers or decimal strings.
      image_info: `[batch, 4, 2]` as Model Garden's: original size, scaled size, scale, offset (y, x each). It takes the
        boxes back to the original image. None: the boxes are in the original image's pixels.
      boxes: `[batch, detections, 4]`, ymin, xmin, ymax, xmax in pixels of the network's input.
      scores: `[batch, detections]`.
      classes: `[batch, detections]`, labels.
      num_detections: `[batch]`, how many of an image's detections count. None: all.

    Raises:
      ValueError: an image that the annotations do not have, or detections that are not finite.
    """
    ids = [int(i) for i in np.asarray(source_ids).reshape(-1)]
    boxes, scores = _floats(boxes), _floats(scores)
    classes = np.asarray(classes).astype(np.int64)
    counts = np.full(len(ids), scores.shape[1]) if num_detections is None else np.asarray(num_detections).reshape(-1)
    if image_info is not None:
      info = _floats(image_info)
      scale, offset = np.tile(info[:, 2], 2)[:, None], np.tile(info[:, 3], 2)[:, None]
      boxes = (boxes + offset) / scale

    keep = np.arange(scores.shape[1]) < counts[:, None]
    for row, image_id in enumerate(ids):
      if image_id not in self._image_ids:
        raise ValueError(
          f'Image id {image_id} is not in {self._origin}. The records and the annotations must come from the same'
          f' split: use the .annotations.json that was written beside these records.'
        )
      if image_id in self._seen:
        self._num_repeated += 1
        keep[row] = False
        continue
      self._seen.add(image_id)
      mine = keep[row]
      if not (np.isfinite(boxes[row, mine]).all() and np.isfinite(scores[row, mine]).all()):
        raise NonFiniteDetectionsError(f'The detections of image {image_id} are not finite: the model has diverged.')

    categories = self._categories(classes[keep])
    known = categories >= 0
    self._num_unlabelled += int(np.count_nonzero(~known))
    images = np.broadcast_to(np.asarray(ids, np.int64)[:, None], keep.shape)[keep]
    self._batches.append((images[known], boxes[keep][known], scores[keep][known], categories[known].astype(np.int32)))

  @property
  def seen(self) -> frozenset[int]:
    """Ids of the images seen so far."""
    return frozenset(self._seen)

  @property
  def boxes(self) -> Sequence[Mapping[str, Any]]:
    """COCO annotations of the ground truth."""
    return self._ground_truth['annotations']

  @property
  def category_names(self) -> dict[int, str]:
    """Name by category id; two categories of one name are told apart by their ids."""
    names = {category['id']: str(category.get('name', category['id'])) for category in self._ground_truth['categories']}
    uses = collections.Counter(names.values())
    return {i: name if uses[name] == 1 else f'{name} ({i})' for i, name in names.items()}

  def detections(self) -> list[dict[str, Any]]:
    """Returns all detections as COCO results: `image_id`, `category_id`, `bbox` (x, y, width, height) and `score`."""
    if not self._batches:
      return []
    # One conversion of everything: one a batch of few detections would cost more than the numbers.
    images, boxes, scores, categories = (np.concatenate(column) for column in zip(*self._batches, strict=True))
    sides = np.stack([boxes[:, 1], boxes[:, 0], boxes[:, 3] - boxes[:, 1], boxes[:, 2] - boxes[:, 0]], axis=-1)
    columns = images.tolist(), categories.tolist(), sides.astype(np.float64).tolist(), scores.tolist()
    return [
      {'image_id': image_id, 'category_id': category_id, 'bbox': bbox, 'score': score}
      for image_id, category_id, bbox, score in zip(*columns, strict=True)
    ]

  def evaluate(self, allow_missing: bool = False) -> dict[str, float]:
    """Computes the metrics, from 0 to 1; a size that the ground truth does not have is -1, as in COCO.

    Args:
      allow_missing: evaluate the images seen so far alone, as if the split had no other.

    Returns:
      `AP`, `AP50`, `AP75`, `APs`, `APm`, `APl`, `ARmax1`, `ARmax10`, `ARmax100`, `ARs`, `ARm`, `ARl`, and
      `AP/<category name>`.

    Raises:
      ValueError: images of the split are missing, unless `allow_missing`.
    """
    self._report_left_out()
    missing = sorted(self._image_ids - self._seen)
    if missing and not (allow_missing and self._seen):
      raise ValueError(
        f'{len(missing)} of the {len(self._image_ids)} images in {self._origin} were not evaluated, the first ones'
        f' are {missing[:_NAMED_IDS]}. Every image must be seen once: evaluate the whole split, without dropping'
        f' the last '
        'batch.'
      )
    with _no_collection():
      coco = self.matched = self._matched()
    names = ['AP', 'AP50', 'AP75', 'APs', 'APm', 'APl', 'ARmax1', 'ARmax10', f'ARmax{self._max_detections}']
    metrics = dict(zip([*names, 'ARs', 'ARm', 'ARl'], map(float, coco.stats[:12]), strict=True))
    if self._per_category:
      metrics.update(self._per_category_ap(coco))
    return metrics

  def _matched(self) -> faster_coco_eval.COCOeval_faster:
    """Computes the metrics of the images seen."""
    ground_truth = faster_coco_eval.COCO(self._ground_truth)
    results = self.detections()
    for number, result in enumerate(results, start=1):
      bbox = result['bbox']
      result['id'], result['area'], result['iscrowd'] = number, bbox[2] * bbox[3], 0
    found = faster_coco_eval.COCO({**self._ground_truth, 'annotations': results})
    coco = faster_coco_eval.COCOeval_faster(ground_truth, found, 'bbox', print_function=_silent)
    coco.params.maxDets = [1, 10, self._max_detections]
    coco.params.imgIds = sorted(self._seen)
    coco.run()
    return coco

  def _per_category_ap(self, coco: faster_coco_eval.COCOeval_faster) -> dict[str, float]:
    """Returns `AP/<name>` of the categories with ground truth."""
    metrics, names = {}, self.category_names
    for k, category_id in enumerate(coco.params.catIds):
      name = names[category_id]
      precision = coco.eval['precision'][:, :, k, 0, -1]  # [IoU, recall]; all areas, the most detections.
      if (precision > -1).any():
        metrics[f'AP/{name}'] = float(precision[precision > -1].mean())
    return metrics

  def _report_left_out(self) -> None:
    if self._num_repeated:
      logging.warning('%d images were evaluated more than once; only the first time counts.', self._num_repeated)
    if self._num_unlabelled:
      logging.warning(
        '%d detections have a label that is not a category of %s; they are ignored.', self._num_unlabelled, self._origin
      )

  def _categories(self, labels: np.ndarray) -> np.ndarray:
    """Maps an array of labels to category ids, -1 for labels without one."""
    table = self._category_of_label
    inside = (labels >= 0) & (labels < len(table))
    return np.where(inside, table[np.where(inside, labels, 0)], -1)

  def _map_labels(self, labels: Sequence[Any] | None) -> np.ndarray:
    """Returns the table from label to category id, -1 for unused labels."""
    ids = [category['id'] for category in self._ground_truth['categories']]
    if labels is None:
      pairs = {i: i for i in ids}
    else:
      rows = [(_field(entry, 'label'), _field(entry, 'id')) for entry in labels]
      pairs = {int(label): int(category_id) for label, category_id in rows}
      if len(pairs) != len(rows) or len(set(pairs.values())) != len(rows):
        raise ValueError(f'A label or a category id occurs twice in the labels: {rows}.')
      unlabelled = sorted({a['category_id'] for a in self._ground_truth['annotations']} - set(pairs.values()))
      if unlabelled:
        raise ValueError(
          f'{self._origin} has boxes of categories {unlabelled[:_NAMED_IDS]}, which are not among the labels '
          f'{sorted(pairs.values())}: the model was made for other categories.'
        )
    table = np.full(max(pairs, default=0) + 1, -1, np.int64)
    for label, category_id in pairs.items():
      table[label] = category_id
    return table

  def _read_ground_truth(self, annotations: str | os.PathLike | Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Reads what the metrics need, as a copy because faster-coco-eval modifies its input."""
    if not isinstance(annotations, Mapping):
      annotations = coco.load_json(annotations)
    try:
      images = [{'id': int(image['id'])} for image in annotations['images']]
      categories = [{**category, 'id': int(category['id'])} for category in annotations['categories']]
      boxes = [
        {
          # Numbered anew: the matching takes an id of 0 for "unmatched", and files with repeated ids exist.
          'id': number,
          'image_id': int(box['image_id']),
          'category_id': int(box['category_id']),
          'bbox': [float(side) for side in box['bbox']],
          'area': float(box.get('area', box['bbox'][2] * box['bbox'][3])),
          'iscrowd': int(box.get('iscrowd', 0)),
        }
        for number, box in enumerate(annotations['annotations'], start=1)
      ]
    except (LookupError, TypeError, AttributeError, ValueError, OverflowError) as error:
      raise ValueError(f'{self._origin} is not a COCO annotation file: {type(error).__name__} {error}.') from error
    for kind, entries in (('image', images), ('category', categories)):
      repeated = [i for i, n in collections.Counter(entry['id'] for entry in entries).items() if n > 1]
      if repeated:
        raise ValueError(f'{self._origin} has the {kind} id {repeated[0]} more than once.')
    image_ids, category_ids = {i['id'] for i in images}, {c['id'] for c in categories}
    for box in boxes:
      if len(box['bbox']) != 4 or not np.isfinite([*box['bbox'], box['area']]).all():
        raise ValueError(
          f'{self._origin}, annotation number {box["id"]}: a box of four finite numbers and an area are needed, not'
          f' {box["bbox"]} and {box["area"]}.'
        )
      if box['image_id'] not in image_ids or box['category_id'] not in category_ids:
        raise ValueError(
          f'{self._origin}, annotation number {box["id"]}: image {box["image_id"]} or category {box["category_id"]} '
          'is not in the file.'
        )
    if all(box['iscrowd'] for box in boxes):
      raise ValueError(f'{self._origin} has no boxes (crowds do not count), so there is nothing to evaluate.')
    return {'images': images, 'categories': categories, 'annotations': boxes}


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
  """Disables garbage collection, which would scan the objects of all detections repeatedly."""
  was_enabled = gc.isenabled()
  gc.disable()
  try:
    yield
  finally:
    if was_enabled:
      gc.enable()


def _floats(values: Any) -> np.ndarray:
  """Converts to a float array in the given precision, so that float64 keeps every digit; integers become float64."""
  values = np.asarray(values)
  return values if np.issubdtype(values.dtype, np.floating) else values.astype(np.float64)


def _field(entry: Any, name: str) -> Any:
  return entry[name] if isinstance(entry, Mapping) else getattr(entry, name)


def _silent(*unused_args: Any) -> None:
  """Silences faster-coco-eval's printing."""
