from dataclasses import dataclass, field

import pytest
import toy

from pipelines.engine.keys import described, digest, stage_keys, work_key


def test_a_change_reaches_its_stage_and_those_that_read_from_it() -> None:
    def keys(**changes: object) -> dict[str, str]:
        return stage_keys([step.stage for step in toy.steps(**changes)])

    base = keys()
    selected = keys(select=toy.SelectConfig(max_total=1))
    assert {name for name in base if base[name] != selected[name]} == {"select"}
    summed = keys(total=toy.SumConfig(factor=2))
    assert {name for name in base if base[name] != summed[name]} == {"sum", "select"}
    decoded = keys(decode=toy.DecodeConfig(repeat=4))
    assert {name for name in base if base[name] != decoded[name]} == {"decode", "sum", "select"}


def test_weights_and_code_version_are_part_of_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    stages = [step.stage for step in toy.steps()]
    base = stage_keys(stages)
    monkeypatch.setattr(toy.SumStage, "weights", lambda self: {"net": "sha256:1"})
    weighted = stage_keys(stages)
    assert weighted["sum"] != base["sum"]
    assert weighted["decode"] == base["decode"]
    monkeypatch.setattr(toy.SumStage, "version", 2)
    assert stage_keys(stages)["sum"] != weighted["sum"]


def test_a_key_does_not_depend_on_the_order_of_a_mapping_and_refuses_objects() -> None:
    assert digest({"a": 1, "b": frozenset({2, 1})}) == digest({"b": frozenset({1, 2}), "a": 1})
    assert work_key("a", [1, "x"], "p") != work_key("a", [1, "y"], "p")
    with pytest.raises(TypeError, match="plain values only, got object"):
        digest(object())


def test_a_nested_configuration_is_hashed_by_its_fields() -> None:
    @dataclass(frozen=True)
    class Inner:
        x: int = 1

    assert digest(Inner()) != digest(Inner(x=2))


def test_a_field_can_stay_out_of_the_key() -> None:
    @dataclass(frozen=True)
    class Config:
        size: int = 1
        timeout_seconds: float = field(default=1.0, metadata={"in_key": False})

    assert digest(Config(timeout_seconds=9.0)) == digest(Config())
    assert digest(Config(size=2)) != digest(Config())


def test_a_configuration_can_add_values_to_its_key() -> None:
    @dataclass(frozen=True)
    class Config:
        backend: str = "a"

        @property
        def in_key(self) -> dict[str, int]:
            return {"backend_version": 2} if self.backend == "b" else {}

    assert described(Config()) == {"backend": "a"}
    assert described(Config(backend="b")) == {"backend": "b", "backend_version": 2}
