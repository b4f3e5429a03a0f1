"""Diffusers' schedulers: the one that a student is stored with, and solvers of order 2 for baselines."""

from typing import Any

from torch import Tensor

from gpd.core.sampler import Solver, euler
from gpd.core.schedule import Grid, make_grid
from gpd.models.base import MakeSolver


def student_scheduler(grid_steps: int, shift: float) -> Any:
    """The scheduler under which the plain pipeline walks exactly our grid with Euler steps.

    UniPC of order 1 without its corrector is the Euler step; FlowMatchEulerDiscreteScheduler shifts end points that are
    already shifted and so walks another grid than the one that was trained.
    """
    from diffusers import UniPCMultistepScheduler

    return UniPCMultistepScheduler(
        prediction_type="flow_prediction",
        use_flow_sigmas=True,
        flow_shift=shift,
        solver_order=1,
        disable_corrector=list(range(grid_steps)),
    )


def unipc_solver(num_steps: int, shift: float, order: int = 2) -> Solver:
    """A fresh UniPC solver, as Wan's own repository samples with; it keeps history, so one for each batch."""
    from diffusers import UniPCMultistepScheduler

    scheduler = UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=shift, solver_order=order
    )
    scheduler.set_timesteps(num_steps)
    return _scheduler_steps(scheduler)


def dpm_solver(num_steps: int, shift: float, order: int = 2) -> Solver:
    """A fresh DPM-Solver++ (multistep, midpoint; Lu et al. 2022); it keeps history, so one for each batch.

    The scheduler's own grid differs a little from that of `gpd.core.schedule.make_grid`; it is made to walk the latter.
    """
    from diffusers import DPMSolverMultistepScheduler

    scheduler = DPMSolverMultistepScheduler(
        algorithm_type="dpmsolver++",
        prediction_type="flow_prediction",
        use_flow_sigmas=True,
        flow_shift=shift,
        solver_order=order,
    )
    scheduler.set_timesteps(num_steps)
    grid = make_grid(num_steps, shift)
    scheduler.sigmas, scheduler.timesteps = grid.sigmas.float(), grid.timesteps
    return _scheduler_steps(scheduler)


def _scheduler_steps(scheduler: Any) -> Solver:
    """The steps of a diffusers scheduler whose timesteps are set."""

    def solve(latents: Tensor, velocity: Tensor, step: int, grid: Grid) -> Tensor:
        result: Tensor = scheduler.step(velocity, scheduler.timesteps[step], latents, return_dict=False)[0]
        return result

    return solve


SOLVERS: dict[str, MakeSolver] = {
    "euler": lambda num_steps, shift: euler,
    "unipc": unipc_solver,
    "dpm++": dpm_solver,
}
