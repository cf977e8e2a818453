"""psinn_fast: fast training of small tanh networks on PDEs, dense (PINN) or tied by symmetry (Psi-NN).

import psinn_fast as pf

solution = pf.solve("laplace", "psi", pf.Adam(2_000))
print(solution.metrics["relative_l2"])
"""

# Imported for what it sets, and before torch, which reads it as it is loaded.
from . import _openmp  # noqa: F401
from .building import Network, build_network, symmetric_structure
from .discovery.discover import discover
from .discovery.extraction import DiscoveryError
from .discovery.found import Discovery
from .discovery.student import StudentSettings
from .domains import Ball, Box, Cylinder, Disk, Domain, Ellipse, MeshDomain, Polygon, distance, read_mesh
from .fusing.fuse import fuse
from .fusing.fused import Fused
from .kernels import available_backends, get_backend, register_backend, unregister_backend
from .kernels.contract import Backend
from .kernels.errors import (
    BackendLimit,
    BackendUnavailable,
    CheckpointError,
    CheckpointWarning,
    DivergedError,
    GradientError,
    InputError,
    OutputWarning,
    PsinnFastError,
    TrainingError,
)
from .kernels.language.regularizer import Regularizer
from .kernels.network.symbols import SymbolLayer
from .language.calculus import div, grad, lap
from .marching.files import load_march
from .marching.march import MarchInterrupted, march
from .marching.marched import Marched, MarchedWindow
from .networks.accelerate import Acceleration, accelerate, restore
from .networks.activations import Adaptive, Sine
from .networks.ansatz import Ansatz
from .networks.derivatives import Derivatives, derivatives
from .networks.direct_sum import direct_sum
from .networks.embedding import Embedding
from .networks.equivariant import layer_from_group
from .networks.groups import SignedPermutation, Symmetry, structure_from_group
from .networks.layered import LayeredMLP, by_layers
from .networks.linear import PsiLinear
from .networks.mlp import MLP, PsiMLP
from .networks.published import published_structure
from .networks.structure import Structure
from .pictures.figures import save_figure
from .pictures.live import LivePlot
from .pictures.loss_map import loss_map_figure
from .pictures.solution import solution_figure
from .pictures.structures import relation_matrix_figure, structure_figure
from .pipeline import run_pipeline
from .problem.conditions import Condition, Data, Dirichlet, Neumann, Periodic, Residual
from .problem.integrals import Integral, Mean
from .problem.pde import PDE
from .problem.point_files import read_points
from .problem.problem import Problem
from .problem.quantities import Quantity
from .problem.recipe import Paper, Recipe
from .problem.table import Table
from .problem.table_files import read_table
from .problems import get_problem
from .report.output import save_discovery, save_solution
from .reproduction.reproduce import Reproduction, reproduce
from .results import Setup, Solution
from .solving import solve
from .symmetries.problem_symmetry import ProblemSymmetry, problem_symmetries
from .symmetries.restriction import restricted
from .symmetries.symmetry_check import field_symmetries
from .training import (
    LBFGS,
    NTK,
    Adam,
    Callback,
    CallbackError,
    Causal,
    Ending,
    FitResult,
    FixedWeights,
    GaussNewton,
    GradientNorms,
    GradientRun,
    History,
    Objective,
    Optimizer,
    Options,
    Progress,
    ResidualAttention,
    SelfAdaptive,
    SSBroyden,
    TensorBoard,
    TorchOptimizer,
    TraceBalance,
    TrainingInterrupted,
    Tuning,
    Verdict,
    Weigher,
    Weighting,
    error_metrics,
    fit,
    load_network,
    save_network,
)

__all__ = [
    "LBFGS",
    "MLP",
    "NTK",
    "PDE",
    "Acceleration",
    "Adam",
    "Adaptive",
    "Ansatz",
    "Backend",
    "BackendLimit",
    "BackendUnavailable",
    "Ball",
    "Box",
    "Callback",
    "CallbackError",
    "Causal",
    "CheckpointError",
    "CheckpointWarning",
    "Condition",
    "Cylinder",
    "Data",
    "Derivatives",
    "Dirichlet",
    "Discovery",
    "DiscoveryError",
    "Disk",
    "DivergedError",
    "Domain",
    "Ellipse",
    "Embedding",
    "Ending",
    "FitResult",
    "FixedWeights",
    "Fused",
    "GaussNewton",
    "GradientError",
    "GradientNorms",
    "GradientRun",
    "History",
    "InputError",
    "Integral",
    "LayeredMLP",
    "LivePlot",
    "MarchInterrupted",
    "Marched",
    "MarchedWindow",
    "Mean",
    "MeshDomain",
    "Network",
    "Neumann",
    "Objective",
    "Optimizer",
    "Options",
    "OutputWarning",
    "Paper",
    "Periodic",
    "Polygon",
    "Problem",
    "ProblemSymmetry",
    "Progress",
    "PsiLinear",
    "PsiMLP",
    "PsinnFastError",
    "Quantity",
    "Recipe",
    "Regularizer",
    "Reproduction",
    "Residual",
    "ResidualAttention",
    "SSBroyden",
    "SelfAdaptive",
    "Setup",
    "SignedPermutation",
    "Sine",
    "Solution",
    "Structure",
    "StudentSettings",
    "SymbolLayer",
    "Symmetry",
    "Table",
    "TensorBoard",
    "TorchOptimizer",
    "TraceBalance",
    "TrainingError",
    "TrainingInterrupted",
    "Tuning",
    "Verdict",
    "Weigher",
    "Weighting",
    "accelerate",
    "available_backends",
    "build_network",
    "by_layers",
    "derivatives",
    "direct_sum",
    "discover",
    "distance",
    "div",
    "error_metrics",
    "field_symmetries",
    "fit",
    "fuse",
    "get_backend",
    "get_problem",
    "grad",
    "lap",
    "layer_from_group",
    "load_march",
    "load_network",
    "loss_map_figure",
    "march",
    "problem_symmetries",
    "published_structure",
    "read_mesh",
    "read_points",
    "read_table",
    "register_backend",
    "relation_matrix_figure",
    "reproduce",
    "restore",
    "restricted",
    "run_pipeline",
    "save_discovery",
    "save_figure",
    "save_network",
    "save_solution",
    "solution_figure",
    "solve",
    "structure_figure",
    "structure_from_group",
    "symmetric_structure",
    "unregister_backend",
]
