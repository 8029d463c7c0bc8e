"""Every network has the numbers of parameters and multiply-accumulates that its paper implies.

The numbers are facts computed from the papers; those of networks that torchvision has equal the
`num_params` and GMACs that it publishes. Inception's MACs are not known to the unit.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import minires as mr
from minires.models import counts_of

EXPECTED: dict[str, tuple[int, int | None]] = {
    "alexnet": (61_100_840, 714_188_480),
    "alexnet_2012": (60_965_224, 724_406_816),
    "cifar_plain110": (1_727_962, 252_887_680),
    "cifar_plain1202": (19_421_274, 2_829_238_912),
    "cifar_plain14": (172_506, 26_395_264),
    "cifar_plain20": (269_722, 40_551_040),
    "cifar_plain32": (464_154, 68_862_592),
    "cifar_plain44": (658_586, 97_174_144),
    "cifar_plain56": (853_018, 125_485_696),
    "cifar_plain8": (75_290, 12_239_488),
    "cifar_preact_resnet1001": (10_327_706, 1_487_849_984),
    "cifar_preact_resnet110": (1_730_522, 253_149_824),
    "cifar_preact_resnet164": (1_703_258, 244_500_992),
    "cifar_preact_resnet20": (272_282, 40_813_184),
    "cifar_preact_resnet56": (855_578, 125_747_840),
    "cifar_resnet110_a": (1_727_962, 252_887_680),
    "cifar_resnet110_b": (1_730_714, 253_149_824),
    "cifar_resnet110_c": (1_826_202, 266_781_312),
    "cifar_resnet1202_a": (19_421_274, 2_829_238_912),
    "cifar_resnet14_a": (172_506, 26_395_264),
    "cifar_resnet14_b": (175_258, 26_657_408),
    "cifar_resnet14_c": (181_146, 27_705_984),
    "cifar_resnet20_a": (269_722, 40_551_040),
    "cifar_resnet20_b": (272_474, 40_813_184),
    "cifar_resnet20_c": (283_962, 42_648_192),
    "cifar_resnet32_a": (464_154, 68_862_592),
    "cifar_resnet32_b": (466_906, 69_124_736),
    "cifar_resnet32_c": (489_594, 72_532_608),
    "cifar_resnet44_a": (658_586, 97_174_144),
    "cifar_resnet44_b": (661_338, 97_436_288),
    "cifar_resnet44_c": (695_226, 102_417_024),
    "cifar_resnet56_a": (853_018, 125_485_696),
    "cifar_resnet56_b": (855_770, 125_747_840),
    "cifar_resnet56_c": (900_858, 132_301_440),
    "cifar_resnet8_a": (75_290, 12_239_488),
    "cifar_resnet8_b": (78_042, 12_501_632),
    "cifar_resnet8_c": (78_330, 12_763_776),
    "densenet121": (7_978_856, 2_834_161_664),
    "densenet161": (28_681_000, 7_727_907_072),
    "densenet169": (14_149_480, 3_359_843_328),
    "densenet201": (20_013_928, 4_291_365_888),
    "densenet_100_12": (6_979_642, 1_769_516_448),
    "densenet_40_12": (1_019_722, 264_812_928),
    "densenet_bc_100_12": (769_162, 287_929_692),
    "densenet_bc_190_40": (25_624_430, 9_301_945_740),
    "densenet_bc_250_24": (15_324_406, 5_418_785_724),
    "densenet_bc_40_12": (176_122, 72_365_352),
    "googlenet": (6_624_904, 1_498_376_192),
    "googlenet_2014": (6_998_552, 1_582_671_872),
    "googlenet_2014_aux": (13_378_280, 1_591_044_096),
    "googlenet_5x5_bn": (7_005_832, 1_582_671_872),
    "googlenet_aux": (13_004_888, 1_506_748_416),
    "inception_v3": (27_161_264, None),
    "plain18": (11_515_688, 1_794_805_760),
    "plain34": (21_623_848, 3_644_493_824),
    "resnet101": (44_549_160, 7_801_405_440),
    "resnet101_v1": (44_549_160, 7_570_194_432),
    "resnet152": (60_192_808, 11_513_626_624),
    "resnet152_v1": (60_192_808, 11_282_415_616),
    "resnet18": (11_689_512, 1_814_073_344),
    "resnet18_a": (11_515_688, 1_794_805_760),
    "resnet18_c": (12_043_816, 1_878_298_624),
    "resnet34": (21_797_672, 3_663_761_408),
    "resnet34_a": (21_623_848, 3_644_493_824),
    "resnet34_c": (22_716_840, 3_830_747_136),
    "resnet50": (25_557_032, 4_089_184_256),
    "resnet50_v1": (25_557_032, 3_857_973_248),
    "resnext101_32x4d": (44_177_704, 7_969_996_800),
    "resnext101_32x8d": (88_791_336, 16_414_015_488),
    "resnext101_64x4d": (83_455_272, 15_460_270_080),
    "resnext50_32x4d": (25_028_904, 4_230_479_872),
    "se_resnet101": (49_326_872, 7_806_148_608),
    "se_resnet101_v1": (49_326_872, 7_574_937_600),
    "se_resnet152": (66_821_848, 11_520_204_800),
    "se_resnet152_v1": (66_821_848, 11_288_993_792),
    "se_resnet18": (11_778_592, 1_814_160_384),
    "se_resnet34": (21_958_868, 3_663_918_592),
    "se_resnet50": (28_088_024, 4_091_699_200),
    "se_resnet50_v1": (28_088_024, 3_860_488_192),
    "se_resnext101_32x4d": (48_955_416, 7_974_739_968),
    "se_resnext50_32x4d": (27_559_896, 4_232_994_816),
    "vgg11": (132_863_336, 7_609_090_048),
    "vgg11_bn": (132_868_840, 7_609_090_048),
    "vgg13": (133_047_848, 11_308_466_176),
    "vgg13_bn": (133_053_736, 11_308_466_176),
    "vgg16": (138_357_544, 15_470_264_320),
    "vgg16_bn": (138_365_992, 15_470_264_320),
    "vgg19": (143_667_240, 19_632_062_464),
    "vgg19_bn": (143_678_248, 19_632_062_464),
    "wide_resnet101_2": (126_886_696, 22_753_050_624),
    "wide_resnet50_2": (68_883_240, 11_398_021_120),
    "wrn_16_2": (691_674, 101_106_944),
    "wrn_16_4": (2_748_890, 392_612_352),
    "wrn_16_8": (10_961_370, 1_548_145_664),
    "wrn_28_10": (36_479_194, 5_243_328_768),
    "wrn_28_2": (1_467_610, 214_353_152),
    "wrn_40_4": (8_949_210, 1_298_582_016),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_parameters_and_multiply_accumulates_are_exact(name: str) -> None:
    params, macs = EXPECTED[name]
    found = counts_of(name)
    assert found.params == params
    assert macs is None or found.macs == macs


def test_inception_needs_torchvisions_gigamacs_and_its_head() -> None:
    assert counts_of("inception_v3").macs == pytest.approx(5.713e9, rel=2e-3)


def test_there_is_no_other_network_but_configuration_a_lrn() -> None:
    assert set(mr.models.list()) - set(EXPECTED) == {"vgg11_lrn"}


def test_the_numbers_are_those_of_the_reference(shared_data: Path) -> None:
    path = shared_data.parent / "reference" / "models.json"
    reference = json.loads(path.read_text())
    assert {name: (each["params"], each["macs"]) for name, each in reference.items()} == EXPECTED
    inputs = {name: tuple(each["input"]) for name, each in reference.items()}
    assert {name: mr.models.input_of(name) for name in EXPECTED} == inputs
