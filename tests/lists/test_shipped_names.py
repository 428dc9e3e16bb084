"""What the lists that ship decide, as the server decides it without any configuration: one name for each thought.

The first table must be blocked, the second must not. Most names in them stand in no list: they are there for the rule
that they show.
"""

import time
from ipaddress import ip_address

import pytest

from blocker import names, policy
from blocker.clients import Clients
from blocker.config import Config, Lists
from blocker.lists import compile as compiling
from blocker.lists.gather import gather
from blocker.lists.index import Index
from blocker.lists.must_resolve import MustResolve
from blocker.policy import PASSTHRU, Action

SOURCES = gather(Lists())


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    path = tmp_path_factory.mktemp("shipped") / "index"
    compiling.build(SOURCES, path)
    return Index.open(path)


@pytest.fixture(scope="module")
def strictest(index):
    return Clients(Config(), index, time.time()).unlisted


BLOCKED = {
    "tiktok": {
        "the app": "www.tiktok.com m.tiktok.com vm.tiktok.com api16-normal-c-useast1a.tiktokv.com im-api.tiktokv.us",
        "its HTTPDNS": "dig.tiktokv.us dig.bdurl.net tnc16-platform-useast1a.tiktokv.com",
        "a region": "frontier.tiktokv-eu.com log-snssdk.tiktokv-us.com p16.tiktokcdn-ord.com v.tiktokcdn-asia.com",
        "a country": "tiktok.ca www.tiktok.vn tiktok.com.br tiktok.co.uk",
        "its shop": "seller.tiktokglobalshop.eu tiktokglobalshop-governance.com lf16-scmcdn.oecstatic.com tokgistic.us",
        "its static files": "lf16.ttwstatic.com lf16-campaign.ttlstatic.com p16.tiktokimg-eu.com p16-sg.ibyteimg.com",
        "as it was called": "api2.musical.ly mp3.muscdn.com mus-api-prod.zhiliaoapp.com",
        "a zone spelt out at a CDN": "tiktokv.com.edgesuite.net v16.tiktokcdn.com.c.worldfcdn.com "
        "tiktokcdn.com.queniuaa.com frontier.tiktokv-eu.com.edgesuite.net www.ttwstatic.com.edgesuite.net "
        "p16.muscdn.com.edgekey.net ibyteimg.com.edgekey.net tiktok.com.bytedance.akadns.net",
        "a zone in one label at a CDN": "p16-tiktokcdn-com.akamaized.net v16-muscdn-com.akamaized.net "
        "p16-ibyteimg-com.akamaized.net p16-ttwstatic-com.akamaized.net",
        "balanced by name": "a.tiktokcdn-us.com.ttdns3.com api.tiktokv.com.ttdns4.com",
        "seen through a translator": "www-tiktok-com.translate.goog",
    },
    "wechat": {
        "the app": "sglong.wechat.com short.weixin.qq.com web2.wechat.com login.wx8.qq.com wechat.co.za wechat.tv",
        "its name service": "dns.weixin.qq.com aedns.weixin.qq.com.cn paydns.wechatpay.cn",
        "its media": "wxsmw.wxs.qq.com vweixinf.tc.qq.com wxsnsdy.video.qq.com shmmsns.qpic.cn mmsns.qpic.wechatos.net",
        "its payments": "hk.wechatpay.com wechatpay.com.sg wx.tenpay.com",
        "seen through a translator": "web-wechat-com.translate.goog mp-weixin-qq-com.translate.goog",
    },
    "kaspersky": {
        "updates and KSN": "dnl-00.geo.kaspersky.com ksn-file-geo.kaspersky-labs.com ff.kis.v2.scr.kaspersky-labs.com",
        "a country": "kaspersky.ca www.kaspersky.com.mx kaspersky.co.nz kaspersky.africa",
        "the company": "kasperskylab.ru kaspersky-labs.net mail.avp.ru",
        "seen through a translator": "usa-kaspersky-com.translate.goog",
        "its data elsewhere": "kaspersky-safe-kids.firebaseio.com",
    },
    "bypass": {
        "large resolvers": "cloudflare-dns.com mozilla.cloudflare-dns.com dns.google dns11.quad9.net x1.dns.nextdns.io "
        "d.adguard-dns.com doh.opendns.com doh.umbrella.com p2.freedns.controld.com zero.dns0.eu doh.dns.sb",
        "a customer's own at a gateway": "abc1234567.cloudflare-gateway.com",
        "small resolvers": "dns.shecan.ir doh.sidnlabs.nl resolver.sunet.se dns.watch",
        "the alias of a resolver": "doh.dns.apple.com.v.aaplimg.com",
        "relays": "mask-api.icloud.com mask-t.apple-dns.net odoh-relay.edgecompute.app",
        "name services of clouds": "httpdns-api.aliyuncs.com httpdns.baidu.com",
        "DNSCrypt": "2.dnscrypt-cert.nobody.example",
        "around everything": "engage.cloudflareclient.com api.nordvpn.com eu0.sec-tunnel.com vpn.mozilla.org",
    },
    "canary": {"canaries": "use-application-dns.net mask.icloud.com mask-h2.icloud.com _dns.resolver.arpa"},
}

ALLOWED = {
    "the word in another zone": "tiktok.example-agency.com wechat.github.io kaspersky.softonic.com "
    "weixin.sogou.com tiktok.fandom.com kaspersky.demdex.net wix-tiktokads.s3.amazonaws.com",
    "a longer word": "tiktoktheme.com tiktokenizer.vercel.app tiktokshopagency.com wechatify.com kasperskyclub.ru "
    "tiktoktheme-cdn.com kaspersky-collab.com weixinschool.com mytiktok.com",
    "a word like it": "tik-tok-tours.com ticktock.com kasper.com kasparov.com wx-weather.com wx.weather.com",
    "a name like a technical one": "ttdns.com ttec.com oecd.org muscle.com musically.com byteplus.com avp.com tt.com",
    "the vendor's other products": "www.qq.com mail.qq.com v.qq.com meeting.tencent.com www.capcut.com lemon8-app.com "
    "www.larksuite.com www.douyin.com www.bytedance.com p3.byteimg.com www.tokopedia.com",
    "others' at its cloud": "shop-1250000000.cos.ap-guangzhou.myqcloud.com p.qpic.cn q1.qlogo.cn vod.byteplus.com",
    "another label at a CDN": "images.akamaized.net www.apple.com.edgekey.net github.map.fastly.net fonts.b-cdn.net",
    "a resolver's neighbours": "www.cloudflare.com developers.google.com www.quad9.net www.opendns.com www.mozilla.org "
    "www.controld.com adguard.com cloudflare-gateway.com ns1.alidns.com captive.g.aaplimg.com gateway.icloud.com",
    "a department of health": "doh.wa.gov doh.gov.ph",
    "interfaces of DNS vendors": "dns.us-ashburn-1.oraclecloud.com dns.api.rackspacecloud.com dnsimple.com",
    "through a translator": "www-example-com.translate.goog www-mytiktok-com.translate.goog",
    "reports and help": "securelist.com www.nomoreransom.org threatpost.com",
    "advertising in others' apps": "api16-access-sg.pangle.io app-measurement.com",
    "balanced by the same name": "www.capcut.com.ttdns2.com open.larksuite.com.ttdns4.com",
}


@pytest.mark.parametrize(
    ("app", "text"),
    [(app, text) for app, rows in BLOCKED.items() for row in rows.values() for text in row.split()],
)
def test_blocked(index, strictest, app, text):
    verdict = policy.decide(strictest, index, names.from_text(text))
    assert verdict.action is not Action.PASSTHRU
    assert verdict.rule.app == app


@pytest.mark.parametrize("text", [text for row in ALLOWED.values() for text in row.split()])
def test_allowed(index, strictest, text):
    assert policy.decide(strictest, index, names.from_text(text)).action is Action.PASSTHRU


def test_what_must_resolve_is_allowed(index, strictest):
    must: MustResolve = SOURCES.must
    hit = [each for each in must.needed.values() if policy.decide(strictest, index, each.name) is not PASSTHRU]
    assert hit == []


@pytest.mark.parametrize(
    "text",
    [
        "104.16.1.1", "151.101.1.140", "23.32.1.1", "13.107.42.14", "142.250.1.1", "52.84.1.1", "17.253.1.1",
        "47.246.1.1", "43.130.1.1", "203.205.1.1", "2606:4700::6810:1", "2a04:4e42::1", "2600:1400::1",
    ],
)  # fmt: skip
def test_addresses_that_everybody_shares_are_nobodys(index, strictest, text):
    """Cloudflare, Fastly, Akamai, Microsoft, Google, Amazon, Apple, Alibaba, Tencent's cloud."""
    assert policy.inspect_address(strictest, index, ip_address(text).packed) is PASSTHRU


def test_who_rents_at_a_shared_parent_is_not_blocked(index, strictest):
    tenants = [b"\x08customer" + parent for parent in SOURCES.shared]
    assert [each for each in tenants if policy.decide(strictest, index, each).action is not Action.PASSTHRU] == []
