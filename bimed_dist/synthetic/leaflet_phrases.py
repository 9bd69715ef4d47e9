"""Phrases of drug instructions, by language and part."""

LEAFLET = {
    "ko": {
        "use": (
            "{drug}[은/는] {disease} 치료에 쓰이는 {kind}입니다.",
            "이 약은 {kind}인 {drug}[으로/로], {disease}에 사용합니다.",
        ),
        "dose": (
            "보통 {drug} {dose}[을/를] {often} {way}합니다.",
            "의사의 지시에 따라 {dose}[을/를] {often} {way}하십시오.",
        ),
        "missed": (
            "{drug} 투여를 잊은 경우 한 번에 두 배의 양을 사용하지 마십시오.",
            "{drug} {dose}[을/를] 거른 때에는 다음 시간에 정해진 양만 {way}하십시오.",
        ),
        "adverse": (
            "{adverse} 등의 부작용이 나타날 수 있습니다.",
            "{drug} 사용 중 {adverse}[이/가] 생기면 의사와 상의하십시오.",
        ),
        "warning": (
            "{first}[이/가] {some}일 이상 계속되면 진료를 받으십시오.",
            "{risk}[이/가] 있는 환자는 {drug} 사용 전에 의사에게 알리십시오.",
        ),
        "check": (
            "{weeks}주마다 {test}[으로/로] 효과를 확인합니다.",
            "{drug}[을/를] {weeks}주 이상 사용하면 {test}[을/를] 받는 것이 좋습니다.",
        ),
        "storage": (
            "{drug}[은/는] 실온에서 어린이의 손이 닿지 않는 곳에 보관하십시오.",
            "남은 {drug} {dose}[을/를] 다른 사람에게 주지 마십시오.",
        ),
    },
    "en": {
        "use": (
            "{drug}, a {kind}, is used to treat {disease}.",
            "this medicine contains {drug}, a {kind} for patients with {disease}.",
        ),
        "dose": (
            "the usual dose of {drug} is {dose}, {taken} {often}.",
            "{drug} {dose} is {taken} {often} as directed by your doctor.",
        ),
        "missed": (
            "if you miss {drug} {dose}, do not double the next dose.",
            "a missed dose of {drug} should not be made up for by {dose} more.",
        ),
        "adverse": (
            "side effects of {drug} include {adverse}.",
            "tell your doctor if you develop {adverse} while using {drug}.",
        ),
        "warning": (
            "seek care if {first} lasts for more than {some} days.",
            "before using {drug}, tell your doctor about {risk}.",
        ),
        "check": (
            "{test} is repeated every {weeks} weeks to see how well {drug} works.",
            "after {weeks} weeks of {drug}, {test} is advisable.",
        ),
        "storage": (
            "keep {drug} at room temperature and out of the reach of children.",
            "do not share your {drug} {dose} with anyone.",
        ),
    },
    "mixed": {
        "use": (
            "{drug}[은/는] {disease}의 Tx.에 쓰이는 {kind}임.",
            "{kind}인 {drug}[은/는] {disease} 환자에서 사용함.",
        ),
        "dose": ("Usual dose는 {dose} {often}임.", "{drug} {dose} {often} {way}, renal function에 따라 dose adjust함."),
        "missed": (
            "{drug} 투여 누락 시 double dose 금지.",
            "{drug} {dose} skip한 경우 다음 투여 시간에 정해진 용량만 투여함.",
        ),
        "adverse": ("Adverse effect: {adverse}.", "{drug} 사용 중 {adverse} 발생할 수 있어 주의 요함."),
        "warning": (
            "{first}[이/가] {some}일 이상 지속되면 {drug} stop하고 외래 방문하도록 함.",
            "{risk} 있는 환자에서는 {drug} use with caution.",
        ),
        "check": (
            "{weeks}주마다 {test} f/u하여 {drug} 효과 판정함.",
            "{drug} {weeks}주 이상 사용 시 {test} check 요함.",
        ),
        "storage": ("{drug}[은/는] room temperature에 보관함.",),
    },
}
