"""The set-up step against a stand-in interpreter: order, idempotence, going on after Ctrl-C, what it keeps."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SYSTEM_COMMANDS = ('apt-get', 'sudo')


class Bench:
    """A small checkout with the real set-up scripts, a stand-in interpreter and no way to the system."""

    cuda = False
    """Whether the machine shows a CUDA device."""

    def __init__(self, folder: Path) -> None:
        self.checkout = folder / 'checkout'
        self.fake = folder / 'fake'
        self.venv = self.checkout / '.venv'
        (self.checkout / 'imbdense').mkdir(parents=True)
        self.fake.mkdir()
        shutil.copytree(ROOT / 'tools', self.checkout / 'tools', ignore=shutil.ignore_patterns('__pycache__'))
        for name in ('setup.py', 'requirements.txt', 'imbdense/__init__.py'):
            shutil.copy(ROOT / name, self.checkout / name)
        self.python = folder / 'python-stand-in'
        self.python.write_text(f'#!{sys.executable} -ES\n' + (ROOT / 'tests/tools/fake_python.py').read_text())
        self.python.chmod(0o755)
        commands = folder / 'bin'
        commands.mkdir()
        for name in SYSTEM_COMMANDS:
            (commands / name).write_text(f'#!/bin/sh\necho {name} "$@" >> {self.fake}/system\nexit 1\n')
            (commands / name).chmod(0o755)
        self.environment = {
            'PATH': f'{commands}{os.pathsep}{os.environ["PATH"]}', 'HOME': str(folder), 'FAKE_DIR': str(self.fake),
            'XDG_CACHE_HOME': str(folder / 'cache'), 'VENV': str(self.venv),
        }

    def start(self, *options: str, **variables: str) -> subprocess.Popen[str]:
        """Start the set-up as ``make setup`` does, with the stand-in as the interpreter that makes environments."""
        tools = str(self.checkout / 'tools')
        launcher = (
            f'import runpy, sys; sys.path.insert(0, {tools!r}); import setup_steps; '
            f'setup_steps.has_cuda_device = lambda: {self.cuda}; sys.executable = {str(self.python)!r}; '
            f'sys.argv = ["setup_env.py", *sys.argv[1:]]; '
            f'runpy.run_path({tools + "/setup_env.py"!r}, run_name="__main__")'
        )
        return subprocess.Popen([sys.executable, '-c', launcher, *options], env={**self.environment, **variables},
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=self.checkout)

    def run(self, *options: str, **variables: str) -> tuple[int, str]:
        """Run the set-up to its end; the calls of the stand-in begin anew."""
        (self.fake / 'calls').unlink(missing_ok=True)
        process = self.start(*options, **variables)
        text, _ = process.communicate(timeout=240)
        return process.returncode, text

    def calls(self, word: str = '') -> list[str]:
        """Calls of the stand-in that contain ``word``."""
        path = self.fake / 'calls'
        return [line for line in path.read_text().splitlines() if word in line] if path.exists() else []

    def fail(self, call: str, output: str) -> None:
        """Let the calls that contain ``call`` fail with ``output``."""
        (self.fake / 'fail').write_text(call)
        (self.fake / 'fail.output').write_text(output)

    def heal(self) -> None:
        """Take the faults away."""
        for name in ('fail', 'hang', 'hanging'):
            (self.fake / name).unlink(missing_ok=True)

    def make_venv(self, *distributions: str) -> None:
        """An environment that was there before, holding ``name-version`` distributions."""
        subprocess.run([str(self.python), '-m', 'venv', str(self.venv)], env=self.environment, check=True)
        for name in distributions:
            (self.venv / 'lib/python3.11/site-packages' / f'{name}.dist-info').mkdir()

    def has(self, name: str) -> bool:
        """True if the environment holds the distribution folder ``name``."""
        return (self.venv / 'lib/python3.11/site-packages' / f'{name}.dist-info').exists()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_torch_comes_before_mmcv_and_mmcv_is_not_built_in_isolation(bench: Bench) -> None:
    code, text = bench.run()
    assert code == 0, text
    installs = [call for call in bench.calls('-m pip') if 'pip install ' in call or 'pip wheel ' in call]
    order = ['setuptools<81', 'torch==', 'requirements.chosen.txt', 'pip wheel ', 'onedl_mmcv-2.3.6', '-e ']
    positions = [next(number for number, call in enumerate(installs) if word in call) for word in order]
    assert positions == sorted(positions)
    assert '--no-build-isolation' in bench.calls('pip wheel ')[0] and '--no-build-isolation' in bench.calls('-e ')[0]
    assert bench.has('torch-2.13.0+cpu') and bench.has('onedl_mmcv-2.3.6') and bench.has('numpy-2.2.6')
    assert 'torchvision' not in ' '.join(bench.calls())


def test_the_second_run_does_nothing_and_is_quick(bench: Bench) -> None:
    assert bench.run()[0] == 0
    began = time.monotonic()
    code, text = bench.run()
    assert code == 0 and 'up to date' in text
    assert bench.calls() == []
    assert time.monotonic() - began < 15  # half a second on an idle machine


def test_changed_requirements_run_only_what_depends_on_them(bench: Bench) -> None:
    assert bench.run()[0] == 0
    path = bench.checkout / 'requirements.txt'
    path.write_text(path.read_text().replace('rich==15.0.0', 'rich==15.1.0'))
    code, text = bench.run()
    assert code == 0, text
    assert bench.has('rich-15.1.0')
    assert bench.calls('requirements.chosen.txt') and bench.calls('doctor')
    assert not bench.calls('torch==2') and not bench.calls('pip wheel ') and not bench.calls('setuptools<81')


def test_a_package_removed_by_hand_comes_back(bench: Bench) -> None:
    assert bench.run()[0] == 0
    (bench.venv / 'lib/python3.11/site-packages/rasterio-1.4.4.dist-info').rmdir()
    assert bench.run()[0] == 0
    assert bench.has('rasterio-1.4.4')


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_compile_goes_on_where_it_stopped(bench: Bench, number: signal.Signals) -> None:
    (bench.fake / 'hang').write_text('pip wheel ')
    process = bench.start()
    marker = bench.fake / 'hanging'
    for _ in range(1200):
        if marker.exists() and marker.read_text():
            break
        time.sleep(0.1)
    child = int(marker.read_text())
    process.send_signal(number)
    text, _ = process.communicate(timeout=60)
    assert process.returncode == 130 and 'run the same command again' in text
    with pytest.raises(ProcessLookupError):  # the compiler does not go on alone
        os.kill(child, 0)
    bench.heal()
    code, text = bench.run()
    assert code == 0, text
    assert not bench.calls('-m venv') and not bench.calls('torch==2') and not bench.calls('requirements.chosen')
    assert not bench.calls(' download ') and len(bench.calls('pip wheel ')) == 1


def test_an_environment_whose_creation_was_interrupted_is_made_again(bench: Bench) -> None:
    state = bench.venv / '.imbdense-setup'
    state.mkdir(parents=True)
    (state / 'creating').write_text('')
    (state / 'torch.stamp').write_text('stale')
    (bench.venv / 'pyvenv.cfg').write_text('half')
    (bench.venv / 'bin').mkdir()
    code, text = bench.run()
    assert code == 0 and 'incomplete' in text
    assert bench.has('torch-2.13.0+cpu') and not (state / 'creating').exists()


def test_a_foreign_folder_is_left_alone(bench: Bench) -> None:
    bench.venv.mkdir()
    (bench.venv / 'thesis.txt').write_text('precious')
    code, text = bench.run()
    assert code == 1 and 'no virtual environment' in text and 'VENV=' in text
    assert [path.name for path in bench.venv.iterdir()] == ['thesis.txt']


def test_a_failing_step_shows_its_end_and_the_cure_and_can_be_repeated(bench: Bench) -> None:
    bench.fail('requirements.chosen.txt', 'Collecting numpy\nERROR: [Errno 28] No space left on device')
    code, text = bench.run()
    assert code == 1
    assert '| ERROR: [Errno 28]' in text and 'What to do: The disk is full' in text and 'setup.log' in text
    bench.heal()
    assert bench.run()[0] == 0
    assert not bench.calls('torch==2')


def test_a_torch_that_is_there_is_kept_and_pinned(bench: Bench) -> None:
    bench.make_venv('torch-2.6.0+cu124')
    code, text = bench.run()
    assert code == 0, text
    assert bench.has('torch-2.6.0+cu124') and not bench.calls('install torch')
    assert (bench.venv / '.imbdense-setup/constraints.txt').read_text() == 'torch==2.6.0+cu124\n'
    assert '-c' in bench.calls('requirements.chosen.txt')[0]


def test_original_hosts_are_kept(bench: Bench) -> None:
    bench.make_venv('mmdet-3.3.0', 'mmcv-2.1.0', 'mmengine-0.10.7')
    (bench.fake / 'foreign_ops').write_text('')
    code, text = bench.run()
    assert code == 0 and 'kept as they are: mmengine, mmcv, mmdet' in text
    assert not bench.has('onedl_mmdetection-3.5.1') and not bench.has('onedl_mmcv-2.3.6')
    assert bench.has('onedl_mmsegmentation-1.4.2')


def test_mmcv_lite_is_not_overwritten_but_explained(bench: Bench) -> None:
    bench.make_venv('mmcv_lite-2.1.0')
    code, text = bench.run()
    assert code == 1 and 'uninstall -y mmcv-lite' in text


def test_without_a_cpu_build_the_default_one_is_taken(bench: Bench) -> None:
    bench.fail('torch==2.13.0+cpu', 'ERROR: No matching distribution found for torch==2.13.0+cpu')
    code, text = bench.run()
    assert code == 0 and 'no CPU build' in text
    assert bench.has('torch-2.13.0')


def test_a_broken_network_does_not_lead_to_the_big_build(bench: Bench) -> None:
    bench.fail('torch==2.13.0+cpu', 'ERROR: Connection refused')
    code, text = bench.run()
    assert code == 1 and 'registry cannot be reached' in text
    assert len(bench.calls('torch==2.13.0')) == 1


def test_with_a_device_the_build_without_label_is_taken(bench: Bench) -> None:
    bench.cuda = True
    code, text = bench.run()
    assert code == 0, text
    assert bench.calls('install torch===2.13.0') and bench.has('torch-2.13.0')


def test_the_wish_for_a_torch_is_followed(bench: Bench) -> None:
    assert bench.run(IMBDENSE_TORCH_SPEC='torch==2.12.1')[0] == 0
    assert bench.has('torch-2.12.1')


def test_a_wheel_compiled_earlier_is_used_in_the_next_checkout(bench: Bench) -> None:
    assert bench.run()[0] == 0
    shutil.rmtree(bench.venv)
    assert bench.run()[0] == 0
    assert not bench.calls('pip wheel ') and bench.has('onedl_mmcv-2.3.6')


def test_the_core_environment_holds_only_the_core(bench: Bench) -> None:
    code, text = bench.run('--core')
    assert code == 0, text
    found = {path.name.split('-')[0] for path in (bench.venv / 'lib/python3.11/site-packages').iterdir()}
    assert found == {'torch', 'numpy', 'scipy', 'pytest', 'pip', 'setuptools', 'wheel', 'ninja', 'packaging', 'psutil'}


def test_two_set_ups_at_once_wait_for_each_other(bench: Bench) -> None:
    first, second = bench.start(), bench.start()
    texts = [process.communicate(timeout=240)[0] for process in (first, second)]
    assert first.returncode == 0 and second.returncode == 0, texts
    assert len(bench.calls('-m venv')) == 1
