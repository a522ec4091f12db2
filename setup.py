"""Packaging. Configs, tools and the model index travel as ``clim_mm/.mim``, where MIM and MMEngine look for them."""

import os
import os.path as osp
import runpy
import shutil

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = osp.dirname(osp.abspath(__file__))
MIM_CONTENT = ('configs', 'tools', 'model-index.yml')


def requirements(name):
    with open(osp.join(ROOT, 'requirements', name)) as file:
        lines = (line.partition('#')[0].strip() for line in file)
        return [line for line in lines if line and not line.startswith('-')]


def read(name):
    with open(osp.join(ROOT, name), encoding='utf-8') as file:
        return file.read()


class BuildWithMim(build_py):
    """Copy the MIM content into the built package, or link it in an editable installation."""

    def run(self):
        super().run()
        package = osp.join(ROOT if self.editable_mode else self.build_lib, 'clim_mm', '.mim')
        shutil.rmtree(package, ignore_errors=True)
        os.makedirs(package)
        for name in MIM_CONTENT:
            source, target = osp.join(ROOT, name), osp.join(package, name)
            if self.editable_mode:
                os.symlink(osp.join('..', '..', name), target)
            elif osp.isdir(source):
                shutil.copytree(source, target, ignore=shutil.ignore_patterns('__pycache__'))
            else:
                shutil.copy(source, target)


setup(
    name='clim-mm',
    version=runpy.run_path(osp.join(ROOT, 'clim_mm', 'version.py'))['__version__'],
    description='CLIM (Center-wise Local Image Mixture) self-supervised pretraining for MMSelfSup',
    long_description=read('README.md'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    packages=find_packages(include=['clim_mm', 'clim_mm.*']),
    package_data={'clim_mm.visualization': ['*.html', '*.js']},
    entry_points=dict(console_scripts=['clim-mm = clim_mm.cli.main:main']),
    python_requires='>=3.10,<3.13',
    install_requires=requirements('runtime.txt'),
    extras_require=dict(
        cpu=['faiss-cpu>=1.12,<1.16'],
        gpu=requirements('gpu.txt'),
        # They check what tools/export.py has written for them.
        export=['timm>=1.0.31,<1.1', 'transformers>=5.20,<6']),
    cmdclass=dict(build_py=BuildWithMim))
