from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("devices", "0002_unstable_lines"),
    ]

    operations = [
        migrations.AddField(
            model_name="devicestate",
            name="changes",
            field=models.TextField(
                db_default="[]",
                default="[]",
                help_text="JSON list, the newest last: [epoch seconds, by whom] of the last live syncs that changed it.",
            ),
        ),
    ]
