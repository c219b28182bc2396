"""The command `tools/probe.py`: probes the networks of several checkpoints, and compares them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmseg.registry import DATASETS
from rich.console import Console
from rich.progress import track

from infopro_seg.config_files import load_config
from infopro_seg.consoles import message_console
from infopro_seg.devices import choose_device
from infopro_seg.drawing.attempt import drawing
from infopro_seg.errors import UserError
from infopro_seg.files import write_text
from infopro_seg.outputs import require_folder, require_own_results
from infopro_seg.probing.data import (
    batch_size,
    describe_data,
    plain,
    require_splits,
    train_loader,
    val_loader,
)
from infopro_seg.probing.depth_plot import depth_figure
from infopro_seg.probing.network import FrozenEncoder, choose_blocks
from infopro_seg.probing.probes import HIDDEN, build_probe
from infopro_seg.probing.results import ProbeResults, Subject, markdown, write_json
from infopro_seg.probing.run import LEARNING_RATE, Findings, Track, evaluate_probes, fit_probes, spread
from infopro_seg.probing.sheet import sheet_figure
from infopro_seg.probing.store import INPUT, KeptResults, folder_name
from infopro_seg.probing.tasks import PixelTask, ProbeTask
from infopro_seg.tasks import is_classifier

IMAGES = 2  # on the contact sheet
DPI = 130


@dataclass(frozen=True)
class ProbeRequest:
    """The arguments of the command, as the user wrote them.

    Args:
        config: the config whose data is used.
        checkpoints: the checkpoints to compare.
        out: folder of the results.
        labels: a name for each checkpoint; None for those of their folders.
        blocks: names of the blocks to probe, or `every:N`; empty for all.
        iterations: training iterations of the probes.
        batch: images per iteration; None for the config's own number.
        seed: seed of the probes and of the order of the images.
        device: `cpu`, `cuda`, ...; None for the GPU if there is one.
        options: overrides of the config, `{'a.b': value}`.
    """

    config: Path
    checkpoints: Sequence[Path]
    out: Path
    labels: Sequence[str] | None = None
    blocks: Sequence[str] = ()
    iterations: int = 1000
    batch: int | None = None
    seed: int = 0
    device: str | None = None
    options: Mapping[str, Any] | None = None


def probe(request: ProbeRequest) -> ProbeResults:
    """Writes `results.json`, `table.md`, `depth.png` and `reconstructions.png`.

    Args:
        request: the arguments.

    Raises:
        UserError: an argument, the config, the data or a checkpoint is invalid.
    """
    console = message_console()
    if request.iterations < 1:
        raise UserError(f'--iterations is {request.iterations}; give 1 or more')
    labels = choose_labels(request.checkpoints, request.labels)
    config = load_config(request.config, request.options)
    require_splits(config)
    settings = {
        'iterations': request.iterations,
        'batch': batch_size(config, request.batch),
        'seed': request.seed,
    }
    device = choose_device(request.device)
    networks = [FrozenEncoder(config, checkpoint, device) for checkpoint in request.checkpoints]
    names = networks[0].names
    chosen = choose_blocks(names, request.blocks)
    require_own_results(require_folder(request.out), {'settings', 'checkpoints'})
    shown = spread(IMAGES, len(DATASETS.build(config.val_dataloader['dataset'])))
    common = {
        **settings,
        'learning_rate': LEARNING_RATE,
        'hidden': HIDDEN,
        'images': shown,
        'data': describe_data(config),
    }
    subjects: list[Subject] = []
    for label, checkpoint, network in zip(labels, request.checkpoints, networks, strict=True):
        own = {'weights': network.fingerprint, 'encoder': plain(network.config), **common}
        kept = KeptResults(request.out / folder_name(label), own)
        missing = [name for name in chosen if name not in kept.blocks]
        if len(missing) < len(chosen):
            console.print(f'{label}: {len(chosen) - len(missing)} of {len(chosen)} blocks are done already')
        if missing:
            kept.add(probe_network(network, config, missing, common, label, console))
        scores = {name: kept.blocks[name] for name in chosen}
        pictures = {name: kept.pictures(name) for name in chosen}
        subjects.append(Subject(label, str(checkpoint), network.cuts, scores, pictures))
    results = ProbeResults(names, subjects, kept.ignorance, kept.pictures(INPUT), settings, task_of(config))
    write_json(results, request.out / 'results.json')
    write_text(request.out / 'table.md', markdown(results))
    for name, figure in (('depth.png', depth_figure), ('reconstructions.png', sheet_figure)):
        with drawing(request.out / name, console.print):
            figure(results).savefig(request.out / name, dpi=DPI)
    console.print(
        f'{request.out}: depth.png, reconstructions.png, table.md, results.json', markup=False, soft_wrap=True
    )
    return results


def probe_network(
    network: FrozenEncoder,
    config: Config,
    blocks: Sequence[str],
    settings: Mapping[str, Any],
    label: str,
    console: Console,
) -> Findings:
    """Trains and evaluates the probes of some blocks of a network.

    Args:
        network: the network.
        config: the config whose data is used.
        blocks: names of the blocks.
        settings: seed, batch and iterations of the training, and the images to show.
        label: the name of the network in progress bars.
        console: where to show progress.
    """

    def progress(step: str) -> Track:
        description = f'{label}: {step}'
        return lambda steps, total: track(steps, description, total, console=console)

    seed = settings['seed']
    validation = val_loader(config)
    classes = len(validation.dataset.metainfo['classes'])
    channels = network.channels(blocks)
    task = task_of(config)
    probes = {
        name: build_probe(task.probe, name, channels[name], classes, seed).to(network.device)
        for name in blocks
    }
    training = train_loader(config, settings['batch'], seed)
    fit_probes(
        network, task, probes, training, settings['iterations'], LEARNING_RATE, progress('training probes')
    )
    return evaluate_probes(
        network, task, probes, validation, classes, settings['images'], progress('evaluating')
    )


def task_of(config: Config) -> ProbeTask:
    """The task of the classifiers that probe a config's network."""
    if is_classifier(config):
        from infopro_seg.probing.whole_images import ImageTask

        return ImageTask()
    return PixelTask()


def choose_labels(checkpoints: Sequence[Path], labels: Sequence[str] | None) -> list[str]:
    """The name of each checkpoint: as given, or that of its folder; with its own if it shares the folder.

    Raises:
        UserError: there are not as many labels as checkpoints, or two labels would share a folder of results.
    """
    if labels is None:
        folders = Counter(path.resolve().parent.name for path in checkpoints)
        labels = [
            name if folders[name] == 1 else f'{name}/{path.stem}'
            for path, name in ((path, path.resolve().parent.name) for path in checkpoints)
        ]
    if len(labels) != len(checkpoints):
        raise UserError(
            f'{len(labels)} --labels ({", ".join(labels)}) for {len(checkpoints)} checkpoints; give one for '
            'each'
        )
    folders = Counter(folder_name(label).lower() for label in labels)
    for label in labels:
        if folders[folder_name(label).lower()] > 1:
            raise UserError(
                f'two checkpoints have the label {label!r}, or labels so alike that they share a folder; '
                'give --labels that differ in letters or digits'
            )
    return list(labels)
