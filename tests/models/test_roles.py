import copy
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.optim.swa_utils import AveragedModel

from gpd.artifacts import UserError
from gpd.core.velocity import guided
from gpd.distillation.average import make_average
from gpd.distillation.optimizers import make_optimizer
from gpd.models import wan
from gpd.models.adapters import Factors, attach, merge
from gpd.models.roles import Role, Roles
from tests.models.test_adapters import LATENTS, TEXT, TIMESTEPS, stored
from tests.models.wan.states import SHAPE
from tests.toy import BlockNetwork

STATE = (torch.randn(SHAPE), torch.tensor([500.0]), torch.randn(1, 4, 64))
KEPT_IN_FLOAT32 = (  # of every block, before the blocks, after them
    r"transformer\.blocks\.\d+\.(scale_shift_table|norm2\.(weight|bias))",
    r"transformer\.condition_embedder\.time_embedder\.linear_[12]\.(weight|bias)",
    r"transformer\.scale_shift_table",
)


def move(role: Role, seed: int = 1) -> Role:
    """Factors that have left their start."""
    generator = torch.Generator().manual_seed(seed)
    for weight in role.parameters():
        weight.data = 0.05 * torch.randn(weight.shape, generator=generator)
    return role


def wan_roles(folder: Path, *, dtype: str = "float32", checkpointing: bool = False) -> Roles:
    return Roles(wan.load_network(folder, merge_padding=True, dtype=dtype, gradient_checkpointing=checkpointing), 2)


def test_each_role_predicts_as_a_network_of_its_own() -> None:
    roles = Roles(BlockNetwork(), 2)
    teacher, student = roles.plain(), roles.begin("student", seed=0)
    previous = roles.load("previous", stored(), Path("adapter"))
    whole = BlockNetwork()
    attach(whole, stored(), Path("adapter"))
    merge(whole)
    for _ in range(2):  # in any order, again and again
        assert torch.equal(teacher(LATENTS, TIMESTEPS, TEXT), BlockNetwork()(LATENTS, TIMESTEPS, TEXT))
        assert torch.allclose(previous(LATENTS, TIMESTEPS, TEXT), whole(LATENTS, TIMESTEPS, TEXT), atol=1e-5)
        assert torch.equal(student(LATENTS, TIMESTEPS, TEXT), BlockNetwork()(LATENTS, TIMESTEPS, TEXT))


def test_factors_beside_wans_matrices_predict_what_merged_weights_do(small_wan: Path) -> None:
    roles = wan_roles(small_wan)
    student = move(roles.begin("student", seed=0))
    merged = wan.load_network(small_wan, merge_padding=True)
    plain = merged(*STATE)
    attach(merged, student.adapter, Path("adapter"))
    merge(merged)
    with torch.no_grad():
        assert (student(*STATE) - merged(*STATE)).abs().max() < 1e-5
        assert (plain - merged(*STATE)).abs().max() > 1e-2
        assert torch.equal(roles.plain()(*STATE), plain)


def test_the_state_of_a_role_is_its_factors_by_diffusers_names(small_wan: Path) -> None:
    from diffusers import WanTransformer3DModel

    student = move(wan_roles(small_wan).begin("student", seed=0))
    transformer = WanTransformer3DModel.from_pretrained(small_wan, subfolder="transformer")
    transformer.load_lora_adapter(student.state_dict(), prefix="transformer")
    theirs = {name: weight for name, weight in transformer.named_parameters() if ".lora_" in name}
    ours = {name.removeprefix("transformer."): weight for name, weight in student.named_parameters()}
    assert {name.replace(".default_0", ""): weight.shape for name, weight in theirs.items()} == {
        name: weight.shape for name, weight in ours.items()
    }
    assert set(student.state_dict()) == {f"transformer.{name}" for name in ours}
    assert all(torch.equal(weight, ours[name.replace(".default_0", "")]) for name, weight in theirs.items())
    assert len(ours) == 2 * 2 * 10  # A and B of ten matrices in each of two blocks
    assert all(".blocks." in f".{name}" for name in ours)


def test_the_teacher_has_no_parameters() -> None:
    assert not list(Roles(BlockNetwork(), 2).plain().parameters())


def test_a_role_stays_trained_or_frozen_whichever_is_active() -> None:
    roles = Roles(BlockNetwork(), 2)
    student = roles.begin("student", seed=0).requires_grad_()
    average, previous = copy.deepcopy(student).requires_grad_(False), roles.begin("previous", seed=0)
    for role in (roles.plain(), previous, student, average, roles.plain()):
        role(LATENTS, TIMESTEPS, TEXT)
        trained = {name for name, weight in roles.network.named_parameters() if weight.requires_grad}
        assert len(trained) == 4
        assert all(".lora_" in name and ".student." in name for name in trained)
    student(LATENTS, TIMESTEPS, TEXT).sum().backward()
    assert {name for name, weight in roles.network.named_parameters() if weight.grad is not None} == trained


def gradients(student: Role, roles: Roles, between: bool) -> list[Tensor]:
    """Of a forward and a backward; in between the teacher and others may be asked, with other texts."""
    student.requires_grad_().zero_grad()
    velocity = student(*STATE)
    if between:
        with torch.no_grad():
            guided(roles.plain(), STATE[2], torch.randn(1, 7, 64), torch.ones(1))(STATE[0], STATE[1])
            copy.deepcopy(student)(*STATE)
    velocity.square().mean().backward()
    return [weight.grad for weight in student.parameters() if weight.grad is not None]


@pytest.mark.parametrize("between", [False, True])
def test_checkpointed_blocks_are_computed_again_with_the_factors_that_they_had(small_wan: Path, between: bool) -> None:
    plain, checkpointed = wan_roles(small_wan), wan_roles(small_wan, checkpointing=True)
    expected, found = (
        gradients(move(roles.begin("student", seed=0)), roles, between=asked and between)
        for roles, asked in ((plain, False), (checkpointed, True))
    )
    assert len(found) == len(expected) == 40
    assert all(torch.allclose(a, b, rtol=1e-4, atol=1e-9) for a, b in zip(found, expected, strict=True))
    assert all(gradient.any() for gradient in found)


def test_a_copy_has_factors_of_its_own_on_the_same_weights() -> None:
    roles = Roles(BlockNetwork(), 2)
    student = move(roles.begin("student", seed=0))
    copied = copy.deepcopy(student)
    before = copied(LATENTS, TIMESTEPS, TEXT)
    assert torch.equal(before, student(LATENTS, TIMESTEPS, TEXT))
    move(student, seed=2)
    assert torch.equal(copied(LATENTS, TIMESTEPS, TEXT), before)
    assert copied.roles is roles


def test_an_average_of_a_role_is_the_average_of_its_factors() -> None:
    roles = Roles(BlockNetwork(), 2)
    student = move(roles.begin("student", seed=0)).requires_grad_()
    first = {name: weight.clone() for name, weight in student.state_dict().items()}
    average = make_average(student, 0.2)
    assert isinstance(average, AveragedModel)
    move(student, seed=2)
    average.update_parameters(student)  # d = 1 / 10
    for name, weight in student.state_dict().items():
        assert torch.allclose(average.module.state_dict()[name], 0.1 * first[name] + 0.9 * weight, atol=1e-6)
    assert {name.removeprefix("module.") for name in average.state_dict()} == {*first, "n_averaged"}


def bytes_of(tensors: list[Tensor]) -> int:
    """Of the storages, each counted once."""
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors}
    return sum(storages.values())


def test_the_base_weights_lie_in_memory_once_whatever_the_roles(small_wan: Path) -> None:
    plain = bytes_of(list(wan.load_network(small_wan, merge_padding=True).parameters()))
    roles = wan_roles(small_wan)
    student = roles.begin("student", seed=0).requires_grad_()
    previous, average = roles.begin("previous", seed=0), make_average(student, 0.9)
    assert average is not None
    optimizer = make_optimizer(student, learning_rate=1e-3, weight_decay=0.0)
    student(*STATE).square().mean().backward()
    optimizer.step()

    networks: list[nn.Module] = [roles.network, roles.plain(), previous, student, average]
    of_one_role = bytes_of(list(student.parameters()))
    assert bytes_of([weight for network in networks for weight in network.parameters()]) == plain + 3 * of_one_role
    graded = [weight.grad for weight in roles.network.parameters() if weight.grad is not None]
    assert bytes_of(graded) == of_one_role
    moments = [value for state in optimizer.state.values() for value in state.values() if value.ndim]
    assert bytes_of(moments) == 2 * of_one_role


class Formats(nn.Module):
    """Which formats a module was given and gave."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.seen: set[torch.dtype] = set()
        module.register_forward_hook(lambda _, given, made: self.seen.update({given[0].dtype, made.dtype}))


def test_what_wan_keeps_in_float32_stays_so_in_every_role(small_wan: Path) -> None:
    roles = wan_roles(small_wan, dtype="bfloat16")
    student = roles.begin("student", seed=0).requires_grad_()
    average = make_average(student, 0.9)
    assert average is not None
    embedder = Formats(roles.network.get_submodule("transformer.condition_embedder.time_embedder.linear_2"))
    norm = Formats(roles.network.get_submodule("transformer.blocks.0.norm1"))
    for role in (roles.plain(), roles.begin("previous", seed=0), student, average):
        with torch.autocast("cpu", torch.bfloat16):  # as accelerate's around the student
            velocity = role(*STATE)
        assert velocity.dtype == torch.float32
        assert (embedder.seen, norm.seen) == ({torch.float32}, {torch.float32})
        assert all(weight.dtype == torch.float32 for weight in role.parameters())
    student(*STATE).square().mean().backward()
    assert all(weight.grad is not None and weight.grad.dtype == torch.float32 for weight in student.parameters())
    of_the_base = {name: weight for name, weight in roles.network.named_parameters() if ".lora_" not in name}
    kept = {name for name, weight in of_the_base.items() if weight.dtype == torch.float32}
    assert kept == {name for name in of_the_base if any(re.fullmatch(pattern, name) for pattern in KEPT_IN_FLOAT32)}
    assert {weight.dtype for name, weight in of_the_base.items() if name not in kept} == {torch.bfloat16}


@pytest.fixture
def one_process() -> Iterator[DeviceMesh]:
    """A process group of this process alone."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield init_device_mesh("cpu", (1,))
    dist.destroy_process_group()


def trained(roles: Roles, prepare: Callable[[nn.Module], None]) -> Tensor:
    """What the average predicts after three iterations; `prepare` is given the shared network before them."""
    student, previous = roles.begin("student", seed=0).requires_grad_(), roles.begin("previous", seed=1)
    average, teacher = make_average(student, 0.9), roles.plain()
    assert average is not None
    prepare(roles.network)
    optimizer = make_optimizer(student, learning_rate=0.1, weight_decay=0.0)
    for _ in range(3):
        with torch.no_grad():
            target = teacher(LATENTS, TIMESTEPS, TEXT) + previous(LATENTS, TIMESTEPS, TEXT)
        (student(LATENTS, TIMESTEPS, TEXT) - target).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
        average.update_parameters(student)
    with torch.no_grad():
        predicted: Tensor = average(LATENTS, TIMESTEPS, TEXT)
    return predicted


def test_a_sharded_network_has_the_same_roles(one_process: DeviceMesh) -> None:
    def shard(network: nn.Module) -> None:
        for part in (*network.blocks, network):
            fully_shard(part, mesh=one_process)

    roles = Roles(BlockNetwork(), 2)
    sharded, whole = trained(roles, shard), trained(Roles(BlockNetwork(), 2), lambda _: None)
    assert all(isinstance(weight, DTensor) for weight in roles.network.blocks.parameters())
    assert torch.allclose(sharded, whole, atol=1e-6)
    assert not torch.allclose(sharded, BlockNetwork()(LATENTS, TIMESTEPS, TEXT), atol=1e-3)


def test_compiled_blocks_see_which_role_is_active(small_wan: Path) -> None:
    roles = wan_roles(small_wan)
    played = [move(roles.begin("student", seed=0)), roles.plain(), move(roles.begin("previous", seed=0), seed=2)]
    with torch.no_grad():
        expected = [role(*STATE) for role in played]
        roles.network.transformer.compile_repeated_blocks(backend="eager")  # traced and guarded, but without a compiler
        for _ in range(2):
            for role, velocity in zip(played, expected, strict=True):
                assert torch.allclose(role(*STATE), velocity, atol=1e-5)
    assert not torch.allclose(expected[0], expected[1], atol=1e-3)
    assert not torch.allclose(expected[0], expected[2], atol=1e-3)


def test_factors_keep_no_copy_of_the_features_that_they_read(small_wan: Path) -> None:
    """Queries, keys and values of a block are of the same features: what is kept for the backward lies there once."""
    student = wan_roles(small_wan, dtype="bfloat16").begin("student", seed=0).requires_grad_()
    read: list[Tensor] = []
    for name in ("to_q", "to_k", "to_v"):
        layer = student.get_submodule(f"transformer.blocks.0.attn1.{name}.lora_A")
        layer.register_forward_hook(lambda _, given, made: read.append(given[0]))
    student(*STATE)
    assert {features.dtype for features in read} == {torch.bfloat16}
    assert len(read) == 3
    assert len({features.data_ptr() for features in read}) == 1


def test_a_role_of_another_rank_or_for_other_matrices_is_refused() -> None:
    message = r"^params.yaml: distill.lora_rank=3, but adapter is an adapter of rank 2; all stages have the same$"
    with pytest.raises(UserError, match=message):
        Roles(BlockNetwork(), 3).load("previous", stored(), Path("adapter"))
    with pytest.raises(UserError, match=r"^adapter: blocks\.0\.lora_A\.weight is missing$"):
        Roles(BlockNetwork(), 2).load("previous", Factors(2, {}), Path("adapter"))
    with pytest.raises(UserError, match=r"distill.lora_rank=5 is more than blocks.0.weight can have"):
        Roles(BlockNetwork(), 5)
